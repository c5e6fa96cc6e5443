"""One table for export and eval: each precision with its runner, metric, agreement and speed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sskt_edge.bundle.manifest import Manifest
from sskt_edge.evaluation.evaluate import Report
from sskt_edge.tasks.task import task_named


class Row(NamedTuple):
    """A line of the table; None where nothing was measured.

    Attributes:
        precision: its name in the bundle.
        runner: what ran it.
        size: the size of its file, in bytes.
        images: how many images were run.
        value: the value of the task's metric.
        interval: its 95 % confidence interval.
        agreement: the share of decisions that equal the trained network's.
        flips: how many images are decided differently.
        max_abs: the largest absolute difference of a logit.
        latency_ms: the latency of one image, in milliseconds.
        mark: "NO" if it is out of tolerance, "?" if there are too few images to tell, else "".
    """

    precision: str
    runner: str
    size: int
    images: int
    value: float
    interval: tuple[float, float]
    agreement: float
    flips: int
    max_abs: float | None
    latency_ms: float | None
    mark: str


def rows_from_manifest(manifest: Manifest) -> list[Row]:
    """The rows that were measured when the bundle was made."""
    return [
        Row(
            precision,
            one.runner,
            record.bytes,
            one.images,
            one.value,
            one.interval,
            one.agreement,
            one.flips,
            one.max_abs,
            one.latency_ms,
            _mark(one.reasons, one.undecided),
        )
        for precision, record in manifest.precisions.items()
        for one in record.measured
    ]


def rows_from_report(manifest: Manifest, report: Report) -> list[Row]:
    """The rows that were measured on this machine."""
    sizes: dict[str, int] = {name: record.bytes for name, record in manifest.precisions.items()}
    return [
        Row(
            result.precision,
            result.runner,
            sizes[result.precision],
            result.scores.images,
            result.scores.value,
            result.scores.interval,
            result.parity.agreement.share,
            len(result.parity.agreement.flips),
            result.parity.max_abs,
            result.latency_ms,
            _mark(result.reasons, result.undecided),
        )
        for result in report.results
    ]


def _mark(reasons: list[str], undecided: list[str]) -> str:
    return "NO" if reasons else "?" if undecided else ""


def by_sentence(undecided: Iterable[tuple[str, list[str]]]) -> list[str]:
    """(name, its sentences) pairs → each sentence once, after the names to which it applies."""
    names: dict[str, list[str]] = {}
    for name, sentences in undecided:
        for sentence in sentences:
            names.setdefault(sentence, []).append(name)
    return [f"{', '.join(of)}: {sentence}" for sentence, of in names.items()]


def show_precisions(title: str, rows: Iterable[Row], task: str) -> None:
    """Print the table; `task` names the metric and the decisions that are compared."""
    from sskt_edge.cli.console import Console
    from sskt_edge.cli.table import Column, Table

    measured = task_named(task)
    numbers = (f"{measured.metric} (95 %)", measured.same, "flips", "max |Δ|", "ms", "MB")
    columns = [Column("precision"), Column("run by", folds=True), *(Column(name, right=True) for name in numbers)]
    cells = [_cells(row) for row in rows]
    if any(row[-1] for row in cells):
        columns.append(Column())
    console = Console()
    console.print(title, style="italic")
    Table(console, columns, [row[: len(columns)] for row in cells], gap=1).show()


def _cells(row: Row) -> list[str]:
    low, high = row.interval
    return [
        row.precision,
        row.runner,
        f"{row.value:.1%} ({100 * low:.1f}–{100 * high:.1f})",
        f"{row.agreement:.2%}",
        f"{row.flips:,}",
        "–" if row.max_abs is None else f"{row.max_abs:.1e}",
        "–" if row.latency_ms is None else f"{row.latency_ms:.2f}",
        f"{row.size / 1e6:.2f}",
        row.mark,
    ]
