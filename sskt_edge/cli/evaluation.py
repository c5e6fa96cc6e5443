"""An evaluation as tables: what holds and what not, and which classes are taken for which."""

from __future__ import annotations

import numpy as np

from sskt_edge.cli.output import quoted, short_count, show
from sskt_edge.cli.precision_table import rows_from_report, show_precisions
from sskt_edge.runtime.bundle import Bundle
from sskt_edge.runtime.evaluate import Report, Result
from sskt_edge.runtime.machine.install import gpu_of

_MOST_CLASSES = 12  # a confusion matrix of more does not fit a terminal; --json has those of up to 1000


def show_evaluation(bundle: Bundle, report: Report) -> None:
    """Print a report."""
    shown = report.fastest or report.results[0]
    if len(report.classes) <= _MOST_CLASSES:
        _show_confusion(report, shown)
    where = "golden images" if report.data == "golden" else f"images of {report.data}"
    show_precisions(f"\n{shown.scores.images:,} {where}", rows_from_report(bundle.manifest, report))
    path = quoted(bundle.path)
    verdict = "holds" if report.passed else "does NOT hold"
    further = [f"sskt-edge predict {path} IMAGE…" if report.passed else "sskt-edge doctor    # what runs here"]
    if report.passed:
        further.insert(0, f"sskt-edge bench {path}    # how fast")
    if report.data == "golden" and report.passed:
        further.insert(0, f"sskt-edge eval {path} --data FOLDER    # a whole test set")
    show(f"{report.bundle} {verdict} on this machine", _rows(bundle, report, shown), further)


def _rows(bundle: Bundle, report: Report, shown: Result) -> dict[str, str]:
    manifest = bundle.manifest
    rows = {}
    if (fastest := report.fastest) is not None:
        rows["fastest"] = f"{fastest.name} ({fastest.latency_ms:.2f} ms an image)"
    if manifest.test is not None:
        rows["when trained"] = f"{manifest.test.top1:.2%} of all {manifest.test.images:,} test images (torch, fp32)"
    if shown.scores.top5 is not None:
        rows["first five"] = f"{shown.scores.top5:.2%} of the images have their class among them"
    versions = {name: version for result in report.results for name, version in result.versions.items()}
    rows["parity"] = (
        f"on {shown.parity.images:,} "
        + ("golden images" if report.parity_on == "golden" else f"images of {report.parity_on}")
        + ", against the trained network"
    )
    rows["ran on"] = ", ".join([*_processors(report), *(f"{name} {version}" for name, version in versions.items())])
    rows["network"] = (
        f"{manifest.target}, {short_count(manifest.parameters)} parameters, "
        f"{short_count(manifest.macs)} multiply-accumulates an image"
    )
    if len(report.classes) > _MOST_CLASSES:
        known = np.flatnonzero(~np.isnan(shown.scores.per_class))
        hardest = sorted(known, key=lambda number: float(shown.scores.per_class[number]))[:3]
        rows["hardest"] = ", ".join(
            f"{report.classes[number]} {shown.scores.per_class[number]:.0%}" for number in hardest
        )
    by_reason: dict[str, list[str]] = {}
    for name, reason in report.closed.items():
        by_reason.setdefault(reason, []).append(name)
    closed = [f"{', '.join(names)}: {reason}" for reason, names in by_reason.items()]
    failed = [f"{result.name}: {reason}" for result in report.results for reason in result.reasons]
    for name, lines in (("note", report.notes), ("not opened", closed), ("failed", failed)):
        rows |= {f"{name} {number}" if number > 1 else name: line for number, line in enumerate(lines, 1)}
    return rows


def _processors(report: Report) -> list[str]:
    """The CPU and the GPU, each where something ran on it."""
    found, on_cpu = report.conditions, {result.runner.endswith("-cpu") for result in report.results}
    names = [found.processor.name or "a CPU"] if True in on_cpu else []
    if False in on_cpu:
        gpu = gpu_of(found)
        names.append(gpu.name if gpu else "an NVIDIA GPU")
    return names


def _show_confusion(report: Report, shown: Result) -> None:
    """A row for each true class: how often it was answered as which, and the share that is right."""
    from rich.table import Table
    from rich.text import Text

    from sskt_edge.cli.console import Console

    title = f"{shown.name}: true class (rows), answered as (columns)"
    table = Table(title=Text(title), title_justify="left", box=None, pad_edge=False)
    table.add_column("")
    for name in report.classes:
        table.add_column(Text(name), justify="right")
    table.add_column("right", justify="right", style="bold")
    for number, name in enumerate(report.classes):
        counts = shown.scores.confusion[number]
        cells = [str(count) if count else "·" for count in counts]
        share = shown.scores.per_class[number]
        table.add_row(Text(name), *cells, "–" if np.isnan(share) else f"{share:.1%}")
    Console().print(table, highlight=False)
