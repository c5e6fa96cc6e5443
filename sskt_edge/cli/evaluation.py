"""Print an evaluation as tables."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sskt_edge.bundle.bundle import Bundle
from sskt_edge.cli.console import Console
from sskt_edge.cli.output import given, show
from sskt_edge.cli.precision_table import by_sentence, rows_from_report, show_precisions
from sskt_edge.cli.score_tables import show_scores
from sskt_edge.common.shell import command
from sskt_edge.common.text import short_count
from sskt_edge.evaluation.evaluate import Report, SessionResult
from sskt_edge.machine.device import gpu_of


def show_evaluation(bundle: Bundle, report: Report, options: Mapping[str, object] = MappingProxyType({})) -> None:
    """Print a report; `options`, given by name, are repeated in the suggested next command."""
    console = Console()
    shown = report.fastest or report.results[0]
    show_scores(console, shown.name, shown.scores.tables(report.classes))
    where = "golden images" if report.data == "golden" else f"images of {report.data}"
    show_precisions(f"\n{shown.scores.images:,} {where}", rows_from_report(bundle.manifest, report), report.task)
    verdict = "holds" if report.passed else "does NOT hold"
    as_far = "" if report.decided or not report.passed else ", as far as these images can tell"
    title = f"{report.bundle} {verdict} on this machine{as_far}"
    show(title, _rows(bundle, report, shown), _next(bundle, report, options))


def _next(bundle: Bundle, report: Report, options: Mapping[str, object]) -> list[str]:
    if not report.passed:
        return [command("doctor")]
    same = given(**options)
    images = "FOLDER" if bundle.task.one_class else "TABLE"
    whole = [command("eval", bundle.path, "--data", images, *same)] if report.data == "golden" else []
    of_predict = given(**{name: value for name, value in options.items() if name != "threads"})
    return [*whole, command("bench", bundle.path, *same), command("predict", bundle.path, "IMAGE…", *of_predict)]


def _rows(bundle: Bundle, report: Report, shown: SessionResult) -> dict[str, str]:
    manifest = bundle.manifest
    rows = {}
    if (fastest := report.fastest) is not None:
        rows["fastest"] = f"{fastest.name} ({fastest.latency_ms:.2f} ms per image)"
    if manifest.test is not None:
        test = manifest.test
        rows["when trained"] = f"{test.metric} {test.value:.2%} on all {test.images:,} test images (torch, fp32)"
    if shown.scores.further:
        rows["further"] = ", ".join(f"{name} {value:.2%}" for name, value in shown.scores.further.items())
    versions = {name: version for result in report.results for name, version in result.versions.items()}
    rows["parity"] = (
        f"on {shown.parity.images:,} "
        + ("golden images" if report.parity_on == "golden" else f"images of {report.parity_on}")
        + ", against the trained network"
    )
    rows["ran on"] = ", ".join([*_processors(report), *(f"{name} {version}" for name, version in versions.items())])
    rows["network"] = (
        f"{manifest.target}, {short_count(manifest.parameters)} parameters, "
        f"{short_count(manifest.macs)} multiply-accumulates per image"
    )
    by_reason: dict[str, list[str]] = {}
    for name, reason in report.unavailable.items():
        by_reason.setdefault(reason, []).append(name)
    unavailable = [f"{', '.join(names)}: {reason}" for reason, names in by_reason.items()]
    failed = [f"{result.name}: {reason}" for result in report.results for reason in result.reasons]
    unsure = by_sentence((result.name, result.undecided) for result in report.results)
    for name, lines in (("note", report.notes), ("too few", unsure), ("not opened", unavailable), ("failed", failed)):
        rows |= {f"{name} {number}" if number > 1 else name: line for number, line in enumerate(lines, 1)}
    return rows


def _processors(report: Report) -> list[str]:
    """The CPU and the GPU, each only if something ran on it."""
    found, on_cpu = report.conditions, {result.runner.endswith("-cpu") for result in report.results}
    names = [found.processor.name or "a CPU"] if True in on_cpu else []
    if False in on_cpu:
        gpu = gpu_of(found)
        names.append(gpu.name if gpu else "an NVIDIA GPU")
    return names
