from __future__ import annotations

import copy
import hashlib
import json
import shutil
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torchvision import datasets

from sskt_edge.bundle.bundle import Bundle, open_bundle
from sskt_edge.common.errors import BundleError, DataError, ParityError, RunError
from sskt_edge.common.progress import QUIET, Bar
from sskt_edge.convert.bundle_from_run import bundle_from_run
from sskt_edge.convert.evaluation_set import open_images
from sskt_edge.convert.fp32_from_run import fp32_from_run
from sskt_edge.inference.open_session import open_session
from sskt_edge.recipe.export_options import with_options as lay_options_over
from sskt_edge.targets.run_folder import TrainedNetwork
from sskt_edge.targets.run_layout import RunFolder
from sskt_edge.tasks.tolerances import Tolerances
from tests.convert.local_paths import local_paths_in


class Lines:
    """Progress that keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Bar]:
        with QUIET.bar(what, total) as bar:
            yield bar

    def say(self, line: str) -> None:
        self.said.append(line)


def elsewhere(run: TrainedNetwork) -> TrainedNetwork:
    """The run as if its images were a folder that is not there."""
    data = run.recipe.data.model_copy(update={"name": "imagefolder", "root": "/nowhere"})
    return replace(run, recipe=run.recipe.model_copy(update={"data": data}))


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def other_weights(run: TrainedNetwork, by: float) -> TrainedNetwork:
    """The run with every logit moved."""
    network = copy.deepcopy(run.network)
    with torch.no_grad():
        network.get_parameter("fc.bias").add_(by)
    return replace(run, network=network)


def trained_with(run: TrainedNetwork, **libraries: str) -> TrainedNetwork:
    """The run as if other versions of libraries had trained it."""
    reference = {**run.result.reference, **libraries}
    return replace(run, result=run.result.model_copy(update={"reference": reference}))


def with_options(run: TrainedNetwork, *overrides: str) -> TrainedNetwork:
    return replace(run, recipe=lay_options_over(run.recipe, overrides=overrides))


def with_tolerance(run: TrainedNetwork, share: float) -> TrainedNetwork:
    return with_options(run, f"export.parity.fp32_difference.onnxruntime_cpu={share}")


@pytest.mark.slow
def test_the_manifest_names_the_hash_of_everything_it_was_made_from(
    tiny_run: TrainedNetwork, tiny_bundle: Bundle
) -> None:
    manifest, files = tiny_bundle.manifest, files_in(tiny_bundle.path)
    run = tiny_run.result

    assert set(files) == {"manifest.json", *manifest.files} == {"manifest.json", "model.onnx", "golden.safetensors"}
    for name, record in manifest.files.items():
        assert (sha256(files[name]), len(files[name])) == (record.sha256, record.bytes)
    lineage = manifest.lineage
    assert lineage.weights_sha256 == sha256(tiny_run.folder.primary.read_bytes())
    assert lineage.onnx_sha256 == sha256(files["model.onnx"])
    assert (lineage.recipe_sha256, lineage.data_sha256) == (run.recipe_sha256, run.data_sha256)
    assert (lineage.run, lineage.sources) == (tiny_run.folder.path.name, run.sources)
    assert set(lineage.sources) == {"teacher"}


@pytest.mark.slow
def test_the_lineage_tells_of_unlabelled_images(tiny_run: TrainedNetwork, tiny_bundle: Bundle, tmp_path: Path) -> None:
    assert tiny_bundle.manifest.lineage.unlabelled_sha256 is None
    with_some = replace(tiny_run, result=tiny_run.result.model_copy(update={"unlabelled_sha256": "a" * 64}))
    bundle = bundle_from_run(with_some, tmp_path / "bundle")
    assert open_bundle(bundle.path).manifest.lineage.unlabelled_sha256 == "a" * 64


def test_the_manifest_says_what_the_device_must_know(tiny_run: TrainedNetwork, tiny_bundle: Bundle) -> None:
    manifest, run = tiny_bundle.manifest, tiny_run.result

    assert (manifest.input.kind, manifest.input.shape) == ("image", (16, 16, 3))
    assert manifest.input.batch.model_dump() == {"min": 1, "opt": 4, "max": 8}
    assert manifest.classes == list("0123456789")
    assert (manifest.name, manifest.target) == ("tiny", "resnet20")
    assert (manifest.parameters, manifest.macs) == (run.primary.parameters, run.primary.macs)
    assert manifest.test == run.test
    assert manifest.parity == Tolerances()
    for measured in manifest.precisions["fp32"].measured:
        assert measured.max_abs is not None and measured.max_abs <= 1e-4 and measured.reasons == []
        assert (measured.images, measured.value) == (run.test.images, run.test.value)
    assert {"torch", "onnx", "onnxruntime"} <= set(manifest.libraries)


def test_the_golden_set_travels_as_it_was_recorded_before_stripping(
    tiny_run: TrainedNetwork, tiny_bundle: Bundle
) -> None:
    assert files_in(tiny_bundle.path)["golden.safetensors"] == tiny_run.folder.golden.read_bytes()
    golden = tiny_bundle.golden()
    assert golden.images.shape == (40, 16, 16, 3)
    assert len(golden.test_labels) == tiny_run.result.test.images
    right = (golden.test_logits.argmax(axis=1) == golden.test_labels).mean()
    assert right == pytest.approx(tiny_run.result.test.value)


def test_the_bundle_answers_as_the_trained_network_did(tiny_bundle: Bundle) -> None:
    golden = tiny_bundle.golden()

    logits = open_session(tiny_bundle, provider="cpu").run(golden.images)

    assert np.abs(logits - golden.logits).max() <= 1e-4


def test_the_onnx_file_says_what_it_is_made_from(tiny_run: TrainedNetwork, tiny_bundle: Bundle) -> None:
    told = {one.key: one.value for one in onnx.load(tiny_bundle.path / "model.onnx").metadata_props}

    assert json.loads(told.pop("sskt_edge.classes")) == list("0123456789")
    assert told == {
        "sskt_edge.version": tiny_bundle.manifest.tool.version,
        "sskt_edge.name": "tiny",
        "sskt_edge.target": "resnet20",
        "sskt_edge.recipe_sha256": tiny_run.result.recipe_sha256,
        "sskt_edge.data_sha256": tiny_run.result.data_sha256,
        "sskt_edge.weights_sha256": tiny_run.weights_sha256,
    }


def test_nothing_in_a_bundle_tells_where_it_was_made(tiny_bundle: Bundle) -> None:
    assert {name: local_paths_in(content) for name, content in files_in(tiny_bundle.path).items()} == {
        name: [] for name in ("manifest.json", "model.onnx", "golden.safetensors")
    }


@pytest.mark.slow
def test_the_same_run_gives_the_same_onnx_file(tiny_run: TrainedNetwork, tiny_bundle: Bundle) -> None:
    assert fp32_from_run(tiny_run) == files_in(tiny_bundle.path)["model.onnx"]


@pytest.mark.parametrize("by", [1e-6, 1.0])
def test_wrong_weights_are_no_bundle(tiny_run: TrainedNetwork, tmp_path: Path, by: float) -> None:
    with pytest.raises(ParityError, match="stripped weights do not give the same answers"):
        bundle_from_run(other_weights(tiny_run, by), tmp_path / "bundle")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_other_libraries_may_differ_within_the_tolerance_and_it_is_said(
    tiny_run: TrainedNetwork, tmp_path: Path
) -> None:
    progress = Lines()

    bundle_from_run(trained_with(other_weights(tiny_run, 1e-6), torch="1.0"), tmp_path / "bundle", progress)

    assert len(progress.said) == 1 and "not bit for bit" in progress.said[0]


def test_other_libraries_may_not_differ_by_more(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    with pytest.raises(ParityError, match=r"logits differ by up to 0\.01"):
        bundle_from_run(trained_with(other_weights(tiny_run, 0.01), torch="1.0"), tmp_path / "bundle")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("share", [1e-9, 0.999])
def test_an_onnx_file_out_of_tolerance_leaves_the_older_bundle_whole(
    tiny_run: TrainedNetwork, tiny_bundle: Bundle, tmp_path: Path, share: float
) -> None:
    judged = next(one for one in tiny_bundle.manifest.precisions["fp32"].measured if one.runner == "onnxruntime-cpu")
    assert judged.max_abs is not None
    measured = judged.max_abs / max(1, float(np.abs(open_images(tiny_run, QUIET).test.logits).max()))
    older = shutil.copytree(tiny_bundle.path, tmp_path / "bundle")
    before = files_in(older)

    with pytest.raises(ParityError, match="The exported file does not answer as the trained network does"):
        bundle_from_run(with_tolerance(tiny_run, share * measured), older)

    assert files_in(older) == before
    assert list(tmp_path.iterdir()) == [older]


def test_a_folder_with_a_manifest_of_something_else_is_not_overwritten(
    tiny_run: TrainedNetwork, tmp_path: Path
) -> None:
    path = tmp_path / "extension"
    path.mkdir()
    (path / "manifest.json").write_text('{"manifest_version": 3}')
    with pytest.raises(
        BundleError, match=r"extension' has a manifest\.json that does not belong to a bundle; it is not overwritten"
    ):
        bundle_from_run(tiny_run, path)
    assert files_in(path) == {"manifest.json": b'{"manifest_version": 3}'}


def test_a_changed_golden_set_is_no_bundle(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    folder = RunFolder(shutil.copytree(tiny_run.folder.path, tmp_path / "run"))
    folder.golden.write_bytes(folder.golden.read_bytes()[:-1] + b"x")

    with pytest.raises(RunError, match="was changed after training"):
        bundle_from_run(replace(tiny_run, folder=folder), tmp_path / "bundle")

    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize("kind", ["folder", "empty folder", "file"])
def test_what_is_no_bundle_is_not_overwritten(tiny_run: TrainedNetwork, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "photos"
    if kind == "file":
        path.write_text("mine")
    else:
        path.mkdir()
    if kind == "folder":
        (path / "mine.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))

    with pytest.raises(BundleError, match=r"photos' exists and is not a bundle; it is not overwritten"):
        bundle_from_run(tiny_run, path)

    assert sorted(tmp_path.rglob("*")) == before


def test_the_bundle_of_another_run_is_not_overwritten(
    tiny_run: TrainedNetwork, tiny_teacher: TrainedNetwork, tiny_bundle: Bundle, tmp_path: Path
) -> None:
    older = shutil.copytree(tiny_bundle.path, tmp_path / "bundle")
    before = files_in(older)

    with pytest.raises(BundleError, match=f"bundle of another run, '{tiny_run.folder.path.name}'"):
        bundle_from_run(tiny_teacher, older)

    assert files_in(older) == before


@pytest.mark.slow
class TestWithoutItsImages:
    def test_fp32_is_proven_on_the_golden_images(self, tiny_run: TrainedNetwork, tmp_path: Path) -> None:
        progress, run = Lines(), elsewhere(tiny_run)

        bundle = bundle_from_run(run, tmp_path / "bundle", progress)

        assert [one.images for one in bundle.manifest.precisions["fp32"].measured] == [40] * len(
            bundle.manifest.precisions["fp32"].measured
        )
        assert any("the golden images are used instead" in line for line in progress.said)

    def test_nothing_else_is_made(self, tiny_run: TrainedNetwork, tmp_path: Path) -> None:
        run = with_options(elsewhere(tiny_run), "export.precisions=['fp16', 'int8']")

        with pytest.raises(DataError, match=r"fp16, int8 cannot be checked without images.*--precision fp32"):
            bundle_from_run(run, tmp_path / "bundle")

        assert list(tmp_path.iterdir()) == []

    def test_none_is_downloaded(
        self, tiny_run: TrainedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The recipe may be in a run folder of somebody else's: an export must not fetch gigabytes for it."""
        recipe = tiny_run.recipe
        data = recipe.data.model_copy(update={"name": "cifar10", "root": str(tmp_path / "absent")})
        run, progress = replace(tiny_run, recipe=recipe.model_copy(update={"data": data})), Lines()
        for proxy in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.delenv(proxy, raising=False)
            monkeypatch.delenv(proxy.upper(), raising=False)
        calls: list[str] = []

        class Server(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                calls.append(self.client_address[0])

        with socketserver.TCPServer(("127.0.0.1", 0), Server) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            monkeypatch.setattr(datasets.CIFAR10, "url", f"http://127.0.0.1:{server.server_address[1]}/data.tar.gz")
            bundle_from_run(run, tmp_path / "bundle", progress)
            server.shutdown()
        assert calls == []
        assert not (tmp_path / "absent").exists()
        assert any("only a training run downloads" in line for line in progress.said)
