"""No table loses a value: on any terminal, through a pipe, with long, wide and many names."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len

from sskt_edge.bundle.bundle import open_bundle
from sskt_edge.cli.bench_table import show_benchmark
from sskt_edge.cli.console import Console
from sskt_edge.cli.doctor_tables import show_machine
from sskt_edge.cli.labels_tables import show_plan
from sskt_edge.cli.output import show
from sskt_edge.cli.precision_table import Row, show_precisions
from sskt_edge.cli.predict_table import show_predictions
from sskt_edge.cli.recipe_tables import show_counts
from sskt_edge.cli.score_tables import show_scores
from sskt_edge.cli.study_tables import show_study
from sskt_edge.cli.table import Column, Table
from sskt_edge.data.check import DataCheck
from sskt_edge.data.copies import Copies, Pairs
from sskt_edge.doctor.machine import look
from sskt_edge.evaluation.bench import Measurement, Subject
from sskt_edge.evaluation.bench_bundle import Benchmark
from sskt_edge.evaluation.effort import Exactly
from sskt_edge.evaluation.evaluate import SessionResult
from sskt_edge.evaluation.parity import compare_logits
from sskt_edge.evaluation.predict import Prediction
from sskt_edge.evaluation.timing import timing_from_seconds
from sskt_edge.inference.open_session import open_session
from sskt_edge.machine.conditions import conditions
from sskt_edge.sources.engine_selection import EngineChoice
from sskt_edge.sources.engines import SourceEngine
from sskt_edge.sources.gate import GateVerdict
from sskt_edge.tasks.single_label import SINGLE_LABEL
from sskt_edge.tasks.task import Predicted
from sskt_edge.training.plan import Plan, SourcePlan
from tests.bundle.tiny import write_bundle
from tests.cli.terminal import LONG, NAMES, WIDTHS, Screen, holds

Shown = tuple[Callable[[], object], list[str]]
"""What prints a table, and the values that it must not lose."""


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Screen:
    return Screen(monkeypatch, capsys)


def predictions(_: Path) -> Shown:
    paths = [Path("photos", f"{name} {number}.jpg") for number, name in enumerate((*NAMES, "a"))]
    shares = (0.9123, 0.0456, 0.0321, 0.0098)
    classes = tuple(Predicted(name, share, share > 0.5) for name, share in zip(NAMES, shares, strict=True))
    found = [Prediction(path, classes[place % 4 :] + classes[: place % 4]) for place, path in enumerate(paths)]
    return lambda: show_predictions(found), [*map(str, paths), *(f"{name} {share:.1%}" for name, share, _ in classes)]


def precisions(_: Path) -> Shown:
    score = (0.98765, (0.985, 0.99))
    one = Row("int8-cpu", "onnxruntime-tensorrt", 123_456_789, 8000, *score, 0.99987, 1234, 1.2e-3, 12.345, "NO")
    others = [one._replace(precision="fp32", mark="?"), one._replace(max_abs=None, latency_ms=None)]
    values = ["int8-cpu", "onnxruntime-tensorrt", "98.8% (98.5–99.0)", "99.99%", "1,234", "1.2e-03", "12.35", "123.46"]
    return lambda: show_precisions(LONG, [one, *others], "single_label"), [*values, "NO", LONG]


def benchmark(place: Path) -> Shown:
    session = open_session(open_bundle(write_bundle(place / "tiny")), provider="cpu", threads=1)
    names = [f"int8-cpu onnxruntime-tensorrt {name}" for name in NAMES]
    times, here = timing_from_seconds([0.12345]), conditions()
    measured = [
        Measurement(Subject(name, session), 1234 + number, times, (1.0, 1.0), {}) for number, name in enumerate(names)
    ]
    closed = {f"fp16 {LONG}": f"it is not here: {LONG}"}
    method = (f"so: {LONG}",)
    found = Benchmark("tiny", here, here, 1, (), Exactly(1), times, tuple(measured), {}, {}, closed, {}, method, 0)
    values = [*names, "1234", "1237", "123.5", f"not run: fp16 {LONG}", closed[f"fp16 {LONG}"], f"so: {LONG}"]
    return lambda: show_benchmark(found, Path(LONG)), values


def study(_: Path) -> Shown:
    head = ("arm", "seeds", "mean, %", "s a training", *NAMES, "")
    rows = [
        (name, "5", "73.21", "1,234", "−1.23 (−0.45)", "+3.12", "69.61 (+1.00)", "0.001", "better") for name in NAMES
    ]
    return lambda: show_study(LONG, [(head, rows)], [LONG]), [*head, *rows[0], *NAMES]


def plan(_: Path) -> Shown:
    reference = GateVerdict(
        SourceEngine("torch", "fp32"), "cpu", 12345.0, 0.0, 1.0, 1.0, 0.9, True, "the reference", 1.0
    )
    other = dataclasses.replace(reference, engine=SourceEngine("onnxruntime", "fp16"), passed=False, why=f"{LONG} " * 3)
    other = dataclasses.replace(other, judge="features", cosine=0.98766)
    sources = [
        SourcePlan(
            name, (reference, other), EngineChoice(reference.engine, LONG), 100, 10, 100, 12345, f"labels/{name}", "MIT"
        )
        for name in NAMES
    ]
    made = Plan(tuple(sources), 100, 1, 16, 1.0)
    values = ["torch-fp32", "onnxruntime-fp16", "12345", "0.9877", "100.0%", "chosen", other.why, *NAMES, LONG, "MIT"]
    return lambda: show_plan(made, ["r.toml"]), values


def counts(_: Path) -> Shown:
    of_part = {name: 12345 + number for number, name in enumerate(NAMES)}
    parts = {"training": of_part, "validation": of_part, "test": of_part}
    none = Copies(shared=(), two_classes=Pairs(count=0, examples=()), repeated=Pairs(count=0, examples=()))
    found = DataCheck((), parts, (), False, "", none, 0, None)
    return lambda: show_counts(found), [*NAMES, *parts, "12,345", "12,348", f"{sum(of_part.values()):,}"]


def pairs(_: Path) -> Shown:
    return lambda: show(LONG, {**dict.fromkeys(NAMES, LONG), "short": NAMES[1]}, [LONG]), [*NAMES, LONG, "short"]


def machine(_: Path) -> Shown:
    found, states = look(), {LONG: "ready", "bench": f"not here: {LONG}", "train": f"pip install {LONG}"}
    return lambda: show_machine(found, states, LONG, [LONG]), [LONG, f"not here: {LONG}", found.python, "onnxruntime"]


@pytest.mark.parametrize("made", [predictions, precisions, benchmark, study, plan, counts, pairs, machine])
def test_no_table_loses_a_value(made: Callable[[Path], Shown], tmp_path: Path, screen: Screen) -> None:
    printing, values = made(tmp_path)
    for width in WIDTHS:
        printed = screen.of(width, printing)
        assert "…" not in printed
        assert [value for value in values if value and not holds(printed, value)] == [], (width, printed)


def test_what_is_read_as_a_value_is_one() -> None:
    printed = "ab   x  y\ncd   z\n"
    assert all(holds(printed, value) for value in ("abcd", "a b c d", "xz", "y"))
    assert not any(holds(printed, value) for value in ("abd", "cdab", "xy z"))


def test_through_a_pipe_a_row_is_a_line(screen: Screen) -> None:
    rows = [[name, f"{number}"] for number, name in enumerate(NAMES)]
    printed = screen.of(None, lambda: Table(Console(), [Column("name"), Column("n")], rows).show())
    assert [line.rsplit(maxsplit=1)[1] for line in printed.splitlines()] == ["n", "0", "1", "2", "3"]


def test_a_table_stays_within_the_terminal(screen: Screen) -> None:
    rows = [[f"{name} {name}", "1234", "5678"] for name in NAMES]
    columns = [Column("name", folds=True), Column("n", right=True), Column("two words", right=True)]
    for width in (40, 60, 80):
        printed = screen.of(width, lambda: Table(Console(), columns, rows).show())
        assert max(map(cell_len, printed.splitlines())) <= width


def result(classes: int, wrong: int) -> SessionResult:
    """Two images a class; of the first `wrong` classes one each is taken for the class after it."""
    labels = np.repeat(np.arange(classes), 2)
    answers = labels.copy()
    answers[: 2 * wrong : 2] += 1
    logits = np.eye(classes, dtype=np.float32)[answers]
    return SessionResult(
        "fp32",
        "onnxruntime-cpu",
        {},
        SINGLE_LABEL.scores(logits, labels, classes),
        compare_logits(logits, logits, SINGLE_LABEL),
        1.0,
        [],
        [],
    )


@pytest.mark.parametrize(
    ("width", "prefix"), [(60, ""), *((width, prefix) for width in WIDTHS[1:] for prefix in ("", f"{LONG} ", NAMES[1]))]
)
def test_a_confusion_matrix_of_few_classes_is_whole(width: int | None, prefix: str, screen: Screen) -> None:
    names = [f"{prefix}{letter}" for letter in "abcdefghijkl"]
    printed = screen.of(width, lambda: show_scores(Console(), "fp32", result(12, 3).scores.tables(names)))
    assert all(holds(printed, name) for name in names)
    assert printed.count("50.0%") == 3 and printed.count("100.0%") == 9
    assert len([word for word in printed.split() if word == "1"]) >= 6  # three pairs of counts


@pytest.mark.parametrize("width", WIDTHS)
def test_of_many_classes_the_hardest_and_the_confusions_are_shown(width: int | None, screen: Screen) -> None:
    names = [f"{NAMES[number % 4]} {number}" for number in range(100)]
    printed = screen.of(width, lambda: show_scores(Console(), "fp32", result(100, 20).scores.tables(names)))
    assert "10 hardest of 100 classes" in printed and "10 most frequent of 20 confusions" in printed
    assert "--json" in printed
    assert all(holds(printed, name) for name in names[:11])
    assert "50.0%" in printed and "100.0%" not in printed
