"""A bundle as Triton's model repository, compared with the bundle and with the ONNX file itself."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from sskt_edge.bundle.bundle import MANIFEST, Bundle, open_bundle
from sskt_edge.common.errors import BundleError
from sskt_edge.inference import bundle_engines as engines
from sskt_edge.inference.backends.tensorrt import trust
from sskt_edge.inference.open_session import open_session
from sskt_edge.inference.triton import triton_from_bundle
from tests.bundle.tiny import CLASSES, SIDE, tiny_onnx, write_bundle
from tests.cli.run import sskt_edge
from tests.export.engine import engine_of
from tests.export.triton_schema import read_config
from tests.sealed import changed

HOSTILE = ["../up", 'say "no"', "two\nlines\r\nand\u2028more"]
# Files that differ, so that a mix-up shows: an unknown field of ModelProto, which readers pass over.
EXTRA = {"fp16": b"\xa2\x06\x01a", "int8": b"\xa2\x06\x01b", "int8_cpu": b"\xa2\x06\x01c"}
TYPE_NUMBERS = {2: 2, 11: 1}  # Triton's DataType → ONNX's: TYPE_UINT8, TYPE_FP32


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of own engines for each test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def whole_bundle(root: Path, **changes: object) -> Bundle:
    """A bundle with every precision; `changes` are merged into its manifest."""
    write_bundle(root, **{name: tiny_onnx() + extra for name, extra in EXTRA.items()})  # type: ignore[arg-type]
    with changed(root / MANIFEST) as manifest:
        manifest.update(changes)
    return open_bundle(root)


def with_engines(bundle: Bundle) -> Bundle:
    """With engines of TensorRT, and of TensorRT for RTX."""
    for flavour, precision in (("tensorrt", "fp32"), ("tensorrt", "int8"), ("tensorrt_rtx", "fp32")):
        built = engine_of(flavour, precision, bundle.precision(precision).sha256)  # type: ignore[arg-type]
        bundle = bundle.with_files(engines.files_of(built))
        trust.remember(built.sidecar.plan_sha256)
    return bundle


def tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8", "int8-cpu"])
def test_the_configuration_is_that_of_the_bundle_and_of_the_file_itself(precision: str, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    bundle = whole_bundle(tmp_path / "bundle")
    triton_from_bundle(bundle, tmp_path / "models")
    folder = tmp_path / "models" / f"tiny_{precision.replace('-', '_')}"

    config = read_config(folder)
    assert config.name == folder.name
    assert (config.backend, config.platform) == ("onnxruntime", "")
    spec = bundle.manifest.input
    assert config.max_batch_size == spec.batch.max
    (given,), (answered,) = config.input, config.output
    assert list(given.dims) == list(spec.shape) == [SIDE, SIDE, 3]

    graph = onnx.load_from_string((folder / "1" / "model.onnx").read_bytes()).graph
    for told, real in ((given, graph.input[0]), (answered, graph.output[0])):
        shape = real.type.tensor_type.shape.dim
        assert told.name == real.name
        assert list(told.dims) == [dim.dim_value for dim in shape][1:]
        assert shape[0].dim_param  # which Triton's batch takes the place of
        assert TYPE_NUMBERS[told.data_type] == real.type.tensor_type.elem_type
    assert len(graph.input) == len(graph.output) == 1


def test_each_model_has_the_bundle_s_own_bytes_as_its_version_1(tmp_path: Path) -> None:
    bundle = with_engines(whole_bundle(tmp_path / "bundle"))

    names = triton_from_bundle(bundle, tmp_path / "models")

    files = {f"tiny_{name.replace('-', '_')}": record.file for name, record in bundle.manifest.precisions.items()}
    files |= {
        "tiny_tensorrt_10_3_0_nvidia_l4_fp32": "engines/tensorrt-10.3.0-nvidia-l4-fp32.plan",
        "tiny_tensorrt_10_3_0_nvidia_l4_int8": "engines/tensorrt-10.3.0-nvidia-l4-int8.plan",
    }
    assert sorted(names) == sorted(files)
    expected = {
        f"{name}/{part}"
        for name, file in files.items()
        for part in ("config.pbtxt", "labels.txt", f"1/model{Path(file).suffix}")
    }
    assert tree(tmp_path / "models") == expected
    for name, file in files.items():
        copy = tmp_path / "models" / name / "1" / f"model{Path(file).suffix}"
        assert copy.read_bytes() == (bundle.path / file).read_bytes()


def test_engines_of_somebody_else_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = with_engines(whole_bundle(tmp_path / "bundle"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "of another user"))

    names = triton_from_bundle(bundle, tmp_path / "models")

    assert len(names) == len(bundle.manifest.precisions)


def test_engines_of_tensorrt_are_served_by_it_and_those_of_rtx_left_out(tmp_path: Path) -> None:
    bundle = with_engines(whole_bundle(tmp_path / "bundle"))
    assert any("tensorrt_rtx" in name for name in bundle.manifest.files)

    names = triton_from_bundle(bundle, tmp_path / "models")

    assert not any("rtx" in name for name in names)
    built = [name for name in names if "tensorrt" in name]
    assert len(built) == 2
    for name in built:
        config = read_config(tmp_path / "models" / name)
        assert (config.name, config.backend) == (name, "tensorrt")
        assert config.instance_group[0].kind == 1  # KIND_GPU


def test_engines_that_take_no_single_image_are_not_served(tmp_path: Path) -> None:
    shape = {"kind": "image", "shape": [SIDE, SIDE, 3], "batch": {"min": 2, "opt": 4, "max": 5}}
    bundle = whole_bundle(tmp_path / "bundle", input=shape)
    with pytest.raises(BundleError, match=r"batches of at least 2.*export\.batch\.min=1"):
        triton_from_bundle(with_engines(bundle), tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_what_only_a_cpu_takes_is_served_there(tmp_path: Path) -> None:
    for name in triton_from_bundle(whole_bundle(tmp_path / "bundle"), tmp_path / "models"):
        (group,) = read_config(tmp_path / "models" / name).instance_group
        assert group.count == 1
        assert (group.kind == 2) == (name == "tiny_int8_cpu")


def test_batches_that_triton_gathers_fit_the_bundle(tmp_path: Path) -> None:
    bundle = whole_bundle(tmp_path / "bundle")
    for name in triton_from_bundle(bundle, tmp_path / "models"):
        config = read_config(tmp_path / "models" / name)
        sizes = list(config.dynamic_batching.preferred_batch_size)
        assert sizes == sorted(set(sizes))
        assert max(sizes) <= config.max_batch_size == bundle.manifest.input.batch.max
        assert 0 < config.dynamic_batching.max_queue_delay_microseconds < 100_000


def test_the_labels_are_the_classes_in_their_order(tmp_path: Path) -> None:
    for name in triton_from_bundle(whole_bundle(tmp_path / "bundle"), tmp_path / "models"):
        folder = tmp_path / "models" / name
        (output,) = read_config(folder).output
        assert (folder / output.label_filename).read_text(encoding="utf-8") == "".join(f"{one}\n" for one in CLASSES)
        assert list(output.dims) == [len(CLASSES)]


@pytest.mark.parametrize("there", ["folder", "file"])
def test_what_stands_there_is_refused_and_kept(there: str, tmp_path: Path) -> None:
    bundle = whole_bundle(tmp_path / "bundle")
    target = tmp_path / "models"
    if there == "folder":
        target.mkdir()
        (target / "mine.txt").write_text("mine")
    else:
        target.write_text("mine")

    with pytest.raises(BundleError, match="exists"):
        triton_from_bundle(bundle, target)

    assert {path.name for path in tmp_path.iterdir()} == {"bundle", "models"}
    assert (target / "mine.txt" if there == "folder" else target).read_text() == "mine"


@pytest.mark.parametrize("name", ["../../evil", 'x"\nbackend: "python', "", "ünï/cødé", "C:\\con"])
def test_hostile_names_stay_a_name_and_a_line(name: str, tmp_path: Path) -> None:
    bundle = with_engines(whole_bundle(tmp_path / "bundle", name=name, classes=HOSTILE))

    names = triton_from_bundle(bundle, tmp_path / "deep" / "models")

    assert {path.name for path in (tmp_path / "deep" / "models").iterdir()} == set(names)
    assert {path.name for path in tmp_path.iterdir()} <= {"bundle", "deep", "state"}
    for one in names:
        assert re.fullmatch(r"[A-Za-z0-9_]+", one)
        config = read_config(tmp_path / "deep" / "models" / one)
        assert config.name == one
        assert config.backend == ("tensorrt" if "tensorrt" in one else "onnxruntime")
        labels = (tmp_path / "deep" / "models" / one / "labels.txt").read_text(encoding="utf-8")
        assert labels.splitlines() == ["../up", 'say "no"', "two lines and more"]


def test_a_changed_file_is_served_by_nobody(tmp_path: Path) -> None:
    bundle = whole_bundle(tmp_path / "bundle")
    (bundle.path / "model.onnx").write_bytes(tiny_onnx()[:-1] + b"x")

    with pytest.raises(BundleError, match="SHA-256"):
        triton_from_bundle(bundle, tmp_path / "models")

    assert not (tmp_path / "models").exists()


def test_onnx_runtime_answers_from_the_repository_as_from_the_bundle(tmp_path: Path) -> None:
    """What Triton's backend opens is what the bundle's session opens."""
    ort = pytest.importorskip("onnxruntime")
    bundle = whole_bundle(tmp_path / "bundle")
    triton_from_bundle(bundle, tmp_path / "models")
    images = bundle.golden().images
    config = read_config(tmp_path / "models" / "tiny_fp32")

    session = ort.InferenceSession(str(tmp_path / "models" / "tiny_fp32" / "1" / "model.onnx"))
    (logits,) = session.run([config.output[0].name], {config.input[0].name: images})

    np.testing.assert_array_equal(logits, open_session(bundle, provider="cpu").run(images))


def test_the_verb_writes_it_and_names_the_models(tmp_path: Path) -> None:
    whole_bundle(tmp_path / "bundle")

    done = sskt_edge("export", "bundle", "--triton", "models", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert "tiny_fp32" in done.stdout
    assert (tmp_path / "models" / "tiny_fp32" / "config.pbtxt").is_file()
