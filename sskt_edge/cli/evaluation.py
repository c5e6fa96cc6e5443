"""An evaluation as tables: what holds and what not, and which classes are taken for which."""

from __future__ import annotations

import numpy as np

from sskt_edge.cli.output import short_count, show
from sskt_edge.runtime.bundle import Bundle
from sskt_edge.runtime.evaluate import Report

_MOST_CLASSES = 12  # a confusion matrix of more does not fit a terminal; --json has it whole


def show_evaluation(bundle: Bundle, report: Report) -> None:
    """Print a report."""
    if len(report.classes) <= _MOST_CLASSES:
        _show_confusion(report)
    verdict = "holds" if report.passed else "does NOT hold"
    further = [f"sskt-edge predict {bundle.path} IMAGE…" if report.passed else "sskt-edge doctor    # what runs here"]
    if report.data == "golden" and report.passed:
        further.insert(0, f"sskt-edge eval {bundle.path} --data FOLDER    # a whole test set")
    show(f"{report.bundle} {verdict} on this machine", _rows(bundle, report), further)


def _rows(bundle: Bundle, report: Report) -> dict[str, str]:
    manifest, scores, parity = bundle.manifest, report.scores, report.parity
    where = "golden images" if report.data == "golden" else f"images of {report.data}"
    top5 = "" if scores.top5 is None else f", among the first five {scores.top5:.2%}"
    rows = {"accuracy": f"{scores.top1:.2%} of {scores.images:,} {where}{top5}"}
    if manifest.test is not None:
        rows["when trained"] = f"{manifest.test.top1:.2%} of all {manifest.test.images:,} test images (torch, fp32)"
    if parity is not None:
        rows["parity"] = (
            f"logits differ by {parity.max_abs:.1e} at most (allowed {report.tolerance:.0e}), "
            f"{parity.top1_agreement:.2%} same class, on {parity.images:,} images"
        )
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    rows["ran on"] = f"{report.provider}, {report.precision} ({versions})"
    rows["size"] = (
        f"{manifest.precisions[report.precision].bytes / 1e6:.2f} MB: {manifest.target}, "
        f"{short_count(manifest.parameters)} parameters, {short_count(manifest.macs)} multiply-accumulates an image"
    )
    if len(report.classes) > _MOST_CLASSES:
        known = np.flatnonzero(~np.isnan(scores.per_class))
        hardest = sorted(known, key=lambda number: float(scores.per_class[number]))[:3]
        rows["hardest"] = ", ".join(f"{report.classes[number]} {scores.per_class[number]:.0%}" for number in hardest)
    for name, lines in (("note", report.notes), ("failed", report.reasons)):
        rows |= {f"{name} {number}" if number > 1 else name: line for number, line in enumerate(lines, 1)}
    return rows


def _show_confusion(report: Report) -> None:
    """A row for each true class: how often it was answered as which, and the share that is right."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title="true class (rows), answered as (columns)", title_justify="left", box=None, pad_edge=False)
    table.add_column("")
    for name in report.classes:
        table.add_column(Text(name), justify="right")
    table.add_column("right", justify="right", style="bold")
    for number, name in enumerate(report.classes):
        counts = report.scores.confusion[number]
        cells = [str(count) if count else "·" for count in counts]
        share = report.scores.per_class[number]
        table.add_row(Text(name), *cells, "–" if np.isnan(share) else f"{share:.1%}")
    Console().print(table, highlight=False)
