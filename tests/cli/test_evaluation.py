"""An evaluation as a user reads it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sskt_edge.bundle.bundle import Bundle, open_bundle
from sskt_edge.cli.evaluation import show_evaluation
from sskt_edge.evaluation.evaluate import Report, evaluate
from sskt_edge.inference.open_sessions import open_sessions
from sskt_edge.machine.gpus import GpuState
from tests.bundle.several import write_several, write_table
from tests.bundle.tiny import write_bundle
from tests.cli.run import Verb

pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return open_bundle(write_bundle(tmp_path_factory.mktemp("bundles") / "tiny"))


@pytest.fixture(scope="module")
def report(bundle: Bundle) -> Report:
    """Of ONNX Runtime on the CPU, on a machine with a GPU."""
    found = evaluate(bundle, open_sessions(bundle, backend="onnxruntime", provider="cpu", threads=1))
    processor = replace(found.conditions.processor, name="Some CPU")
    machine = replace(found.conditions, processor=processor, gpus=(GpuState(name="NVIDIA A10", driver="580.1"),))
    return replace(found, conditions=machine)


def row(name: str, bundle: Bundle, report: Report, capsys: pytest.CaptureFixture[str]) -> str:
    """The value of a row of the table."""
    show_evaluation(bundle, report)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.strip().startswith(f"{name}  ")]
    return line.strip().removeprefix(name).strip()


@pytest.mark.parametrize(
    ("runners", "said"),
    [
        (["onnxruntime-cpu"], "Some CPU, onnxruntime"),
        (["tensorrt-cuda"], "NVIDIA A10, onnxruntime"),
        (["onnxruntime-tensorrt", "openvino-cpu"], "Some CPU, NVIDIA A10, onnxruntime"),
    ],
)
def test_the_processors_are_those_that_something_ran_on(
    runners: list[str], said: str, bundle: Bundle, report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    (result,) = report.results
    results = tuple(replace(result, runner=runner) for runner in runners)
    assert row("ran on", bundle, replace(report, results=results), capsys).startswith(said)


def test_it_says_on_which_images_parity_was_judged(
    bundle: Bundle, report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    assert row("parity", bundle, report, capsys).startswith("on 6 golden images")
    of_folder = replace(report, data="photos", parity_on="photos")
    assert row("parity", bundle, of_folder, capsys).startswith("on 6 images of photos")
    assert row("parity", bundle, replace(report, data="photos"), capsys).startswith("on 6 golden images")


def test_a_bundle_is_found_where_it_was_copied_to(verb: Verb, tmp_path: Path) -> None:
    write_bundle(tmp_path / "NAME")
    code, _, errors = verb("eval", "--backend", "onnxruntime", "--provider", "cpu")
    assert (code, "evaluating the newest bundle, NAME" in errors) == (0, True), errors


def test_a_table_with_columns_of_its_own_is_read(verb: Verb, tmp_path: Path) -> None:
    write_several(tmp_path / "several")
    write_table(tmp_path, head="file,shown")
    columns = ("eval", "several", "--data", "labels.csv", "--set", "data.table.paths=file")
    code, said, errors = verb(*columns, "--set", "data.table.classes=shown", "--backend", "onnxruntime")
    assert code == 0, errors
    assert "16 images of labels.csv" in said and "100.0%" in said and "mAP VOC2007" in said
    code, said, errors = verb("eval", "several", "--data", "labels.csv", "--json")
    assert code == 2 and "no column 'path'" in json.loads(said)["error"]["message"]
    code, said, errors = verb("eval", "several", "--set", "train.epochs=3")
    assert code == 2 and "data.table" in errors


def test_a_table_is_asked_for_where_a_folder_does_not_do(verb: Verb, tmp_path: Path) -> None:
    write_several(tmp_path / "several")
    _, said, _ = verb("eval", "several", "--backend", "onnxruntime")
    assert "--data TABLE" in said and "same decisions" in said and "mAP (95 %)" in said
    code, _, errors = verb("eval", "several", "--data", ".")
    assert code == 2 and errors.count("error: ") == 1 and "labels.csv" in errors


@pytest.mark.parametrize(("data", "words"), [((), "Name the table: --data FILE"), (("--data", "."), "not a table")])
def test_columns_without_a_table_are_refused(data: tuple[str, ...], words: str, verb: Verb, tmp_path: Path) -> None:
    write_several(tmp_path / "several")
    code, _, errors = verb("eval", "several", *data, "--set", "data.table.paths=file")
    assert code == 2 and words in errors


def test_what_the_images_are_too_few_to_tell_is_said_and_not_claimed(
    bundle: Bundle, report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    (result,) = report.results
    unsure = [replace(result, runner=runner, undecided=["too few images to tell: 9 of 9"]) for runner in ("a", "b")]
    some = replace(report, results=tuple(unsure))

    assert row("too few", bundle, some, capsys) == "fp32 a, fp32 b: too few images to tell: 9 of 9"
    show_evaluation(bundle, some)
    assert "holds on this machine, as far as these images can tell" in capsys.readouterr().out
    show_evaluation(bundle, report)
    assert "as far as" not in capsys.readouterr().out
    assert some.passed
