"""What export does with a bundle, and what it refuses; a run's way is in test_way."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sskt_edge.cli.exported import ExportRequest, bundle_of
from sskt_edge.common.progress import QUIET
from sskt_edge.targets.run_folder import TrainedNetwork
from tests.bundle.tiny import write_bundle
from tests.cli.run import Verb
from tests.inference.backends.tensorrt.nets import network
from tests.sealed import of_before


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "tiny", model=network(), fp16=network(dtype="FLOAT16"))


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's list of own engines is, in place of the home folder."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "sskt-edge"


def test_a_bundle_gets_engines_of_what_it_holds(bundle: Path, verb: Verb, state: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    code, said, errors = verb("export", "tiny", "--trt", "--flavour", "tensorrt_rtx", "--json")
    assert code == 0, errors
    told = json.loads(said)
    assert told["engines"] == ["fp16", "fp32"]
    assert all((bundle / name).is_file() for name in told["files"])
    assert (state / "own-engines.txt").read_text().count("\n") == 2
    code, said, errors = verb("export", "tiny", "--trt", "--precision", "fp16", "--compute-capability", "8.9")
    assert code == 0, errors
    assert "engine fp16" in said and "engine fp32" not in said and "compute capability 8.9" in said


@pytest.mark.usefixtures("bundle")
def test_a_bundle_becomes_a_model_repository(verb: Verb, tmp_path: Path) -> None:
    code, said, errors = verb("export", "tiny", "--triton", "models")
    assert code == 0, errors
    assert "models tiny_fp32, tiny_fp16" in said
    assert {path.name for path in (tmp_path / "models").iterdir()} == {"tiny_fp32", "tiny_fp16"}


def test_a_manifest_without_its_own_hash_is_noted(bundle: Path, tmp_path: Path) -> None:
    request = ExportRequest(None, None, False, None, (), tmp_path / "models", (), False, None, None)
    assert bundle_of(bundle, request, QUIET)[2] == []
    of_before(bundle / "manifest.json", schema_version=2)
    (note,) = bundle_of(bundle, request, QUIET)[2]
    assert str(bundle / "manifest.json") in note


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "'tiny' is a bundle. It can only get engines (--trt)"),
        (("--trt", "--set", "export.batch.max=4"), "got --set"),
        (("--trt", "--replace"), "got --replace"),
        (("--trt", "--device", "cpu", "--out", "other"), "got --device, --out"),
        (("--triton", "models", "--precision", "fp16"), "got --precision"),
        (("--trt", "--runs", "elsewhere"), "got --runs"),
        (("--triton", "models", "--flavour", "tensorrt_rx"), "--flavour has no effect"),
        (("--trt", "--flavour", "tensorrt_rx"), "Nearest: 'tensorrt_rtx'"),
        (("--trt", "--precision", "int4"), "has no int4. It has: fp32, fp16"),
        (("--trt", "--compute-capability", "1.0"), "Unknown compute capability '1.0'"),
    ],
)
def test_what_a_bundle_cannot_get_is_refused_and_it_stays_as_it_was(
    words: tuple[str, ...], said: str, bundle: Path, verb: Verb
) -> None:
    before = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    code, _, errors = verb("export", "tiny", *words)
    assert (code, said in errors) == (2, True), errors
    assert {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--precision", "int4"), "unknown value 'int4'"),
        (("--device", "gpu"), "unknown value 'gpu'"),
        (("--compute-capability", "8.9"), "--compute-capability has no effect"),
        (("--trt", "--flavour", "tensorrt_rx"), "Nearest: 'tensorrt_rtx'"),
        (("--trt", "--device", "cpu"), "Set --device cpu,tensorrt"),
        (("--set", "train.epochs=3"), "fixed by the training"),
        (("--set", "export.golden=3"), "fixed by the training"),
        (("--set", "export.batch.max=0"), "export.batch.max"),
    ],
)
def test_what_an_export_cannot_change_is_refused(
    words: tuple[str, ...], said: str, tiny_run: TrainedNetwork, verb: Verb, tmp_path: Path
) -> None:
    code, _, error = verb("export", str(tiny_run.folder.path), *words)
    assert (code, said in error) == (2, True), error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.usefixtures("state")
def test_a_precision_that_does_not_hold_is_left_out_and_ends_with_1(
    tiny_run: TrainedNetwork, verb: Verb, tmp_path: Path
) -> None:
    """After one epoch the classes lie close together: int8 changes some, and here none may change.

    No engine is built in its place. The next export, that does not ask for it, still says why it is not there, and what
    stays, in JSON too.
    """
    pytest.importorskip("tensorrt_rtx")
    words = (
        *("--precision", "fp16,int8"),
        *("--set", "export.parity.int8_agreement=1", "--set", "export.calibration=40", "--device", "tensorrt"),
    )
    run = shutil.copytree(tiny_run.folder.path, tmp_path / "run")
    of_before(run / "result.json")
    code, said, _ = verb("export", "run", "--out", "b", *words, "--trt", "--flavour", "tensorrt_rtx")
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text())
    assert code == 1, said
    assert "int8" in manifest["refused"] and "fp32" in manifest["precisions"]
    assert not (tmp_path / "b" / "model.int8.onnx").exists()
    assert "no int8: " in said
    assert [path.name.rpartition("-")[2] for path in (tmp_path / "b" / "engines").glob("*.plan")] == ["fp16.plan"]
    assert "'run/result.json' was written by an older sskt-edge" in said

    code, said, errors = verb("export", "run", "--out", "b", "--precision", "fp32", *words[2:], "--json")
    told = json.loads(said)
    assert (code, errors, told["refused"]) == (1, "", manifest["refused"])
    assert sum("kept in 'b': model.fp16.onnx" in note for note in told["notes"]) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("state")
def test_a_run_becomes_a_bundle_with_engines_in_one_command(
    tiny_run: TrainedNetwork, verb: Verb, tmp_path: Path
) -> None:
    pytest.importorskip("tensorrt_rtx")
    words = ("--precision", "fp32,fp16", "--trt", "--out", "b", "--flavour", "tensorrt_rtx")
    code, said, errors = verb("export", str(tiny_run.folder.path), *words)
    assert code == 0, errors
    assert "the whole test set" in said and "flips" in said
    assert "engine fp32" in said and "engine fp16" in said and "engine int8" not in said
    plans = {path.name.rpartition("-")[2] for path in (tmp_path / "b" / "engines").glob("*.plan")}
    assert plans == {"fp32.plan", "fp16.plan"}


@pytest.mark.slow
def test_a_failing_engine_does_not_hide_what_was_exported(tiny_run: TrainedNetwork, verb: Verb, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    words = ("--trt", "--out", "b", "--flavour", "tensorrt_rtx", "--compute-capability", "1.0")
    code, said, errors = verb("export", str(tiny_run.folder.path), *words)
    assert (code, "Unknown compute capability '1.0'" in errors) == (2, True), errors
    assert "the whole test set" in said and "bundle" in said
    assert (tmp_path / "b" / "manifest.json").is_file()
