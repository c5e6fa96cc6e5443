"""One table for export and eval: each precision, by what it was run, how it answers and how fast."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sskt_edge.bundle.manifest import Manifest
from sskt_edge.evaluation.evaluate import Report
from sskt_edge.tasks.metrics import interval


class Row(NamedTuple):
    """A line of the table; None where nothing was measured.

    Attributes:
        precision: its name in the bundle.
        runner: what ran it.
        size: of its file, in bytes.
        images: how many were run.
        top1: the accuracy.
        agreement: the share of images with the trained network's class.
        flips: how many images have another class.
        max_abs: the largest difference of a logit.
        latency_ms: of one image.
        mark: "NO" if it is out of tolerance, "?" if the images are too few to tell, else nothing.
    """

    precision: str
    runner: str
    size: int
    images: int
    top1: float
    agreement: float | None
    flips: int | None
    max_abs: float | None
    latency_ms: float | None
    mark: str


def rows_from_manifest(manifest: Manifest) -> list[Row]:
    """What was measured when the bundle was made."""
    return [
        Row(
            precision,
            one.runner,
            record.bytes,
            one.images,
            one.top1,
            one.top1_agreement,
            one.flips,
            one.max_abs,
            one.latency_ms,
            _mark(one.reasons, one.undecided),
        )
        for precision, record in manifest.precisions.items()
        for one in record.measured
    ]


def rows_from_report(manifest: Manifest, report: Report) -> list[Row]:
    """What was measured here."""
    sizes: dict[str, int] = {name: record.bytes for name, record in manifest.precisions.items()}
    return [
        Row(
            result.precision,
            result.runner,
            sizes[result.precision],
            result.scores.images,
            result.scores.top1,
            result.parity.top1_agreement if result.parity else None,
            len(result.parity.flips) if result.parity else None,
            result.parity.max_abs if result.parity else None,
            result.latency_ms,
            _mark(result.reasons, result.undecided),
        )
        for result in report.results
    ]


def _mark(reasons: list[str], undecided: list[str]) -> str:
    return "NO" if reasons else "?" if undecided else ""


def by_sentence(undecided: Iterable[tuple[str, list[str]]]) -> list[str]:
    """(name, its sentences) pairs → each sentence once, behind the names that it holds for."""
    names: dict[str, list[str]] = {}
    for name, sentences in undecided:
        for sentence in sentences:
            names.setdefault(sentence, []).append(name)
    return [f"{', '.join(of)}: {sentence}" for sentence, of in names.items()]


def show_precisions(title: str, rows: Iterable[Row]) -> None:
    """Print the table."""
    from sskt_edge.cli.console import Console
    from sskt_edge.cli.table import Column, Table

    numbers = ("accuracy (95 %)", "same class", "flips", "max |Δ|", "ms", "MB")
    columns = [Column("precision"), Column("run by", folds=True), *(Column(name, right=True) for name in numbers)]
    cells = [_cells(row) for row in rows]
    if any(row[-1] for row in cells):
        columns.append(Column())
    console = Console()
    console.print(title, style="italic")
    Table(console, columns, [row[: len(columns)] for row in cells], gap=1).show()


def _cells(row: Row) -> list[str]:
    low, high = interval(row.top1, row.images)
    return [
        row.precision,
        row.runner,
        f"{row.top1:.1%} ({100 * low:.1f}–{100 * high:.1f})",
        "–" if row.agreement is None else f"{row.agreement:.2%}",
        "–" if row.flips is None else f"{row.flips:,}",
        "–" if row.max_abs is None else f"{row.max_abs:.1e}",
        "–" if row.latency_ms is None else f"{row.latency_ms:.2f}",
        f"{row.size / 1e6:.2f}",
        row.mark,
    ]
