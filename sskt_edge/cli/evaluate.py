"""sskt-edge eval: does a bundle answer here as the trained network did, and how right is it?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sskt_edge.cli.output import Bars, JsonFlag, short_count, show, show_json

if TYPE_CHECKING:
    from sskt_edge.runtime.bundle import Bundle
    from sskt_edge.runtime.evaluate import Report


def evaluate(
    bundle: Annotated[Path | None, typer.Argument(help="A bundle; the newest one in bundles/ if left out.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="A folder of test images, one sub-folder a class; else the golden images.")
    ] = None,
    backend: Annotated[str, typer.Option(help="The library that runs the network.")] = "onnxruntime",
    provider: Annotated[str, typer.Option(help="What it runs on: auto, cpu, cuda.")] = "auto",
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Skip unreadable images, counted.")] = False,
    json_: JsonFlag = False,
) -> None:
    """Evaluate a bundle on this machine; exit code 1 if it does not answer as the trained network did."""
    from sskt_edge.runtime.bundle import find_newest_bundle, open_bundle
    from sskt_edge.runtime.evaluate import evaluate as evaluate_golden
    from sskt_edge.runtime.evaluate import evaluate_folder
    from sskt_edge.runtime.progress import QUIET

    progress = QUIET if json_ else Bars()
    path = bundle or find_newest_bundle()
    if bundle is None:
        progress.say(f"evaluating the newest bundle, {path}")
    opened = open_bundle(path)
    session = opened.session(backend, provider)
    if data is None:
        report = evaluate_golden(opened, session, progress)
    else:
        report = evaluate_folder(opened, session, data, skip_bad, progress)
    if json_:
        show_json(report.as_json())
    else:
        _show(opened, report)
    raise typer.Exit(0 if report.passed else 1)


def _show(bundle: Bundle, report: Report) -> None:
    import numpy as np

    manifest, scores, parity = bundle.manifest, report.scores, report.parity
    where = "golden images" if report.data == "golden" else f"images of {report.data}"
    top5 = "" if scores.top5 is None else f", among the first five {scores.top5:.2%}"
    rows = {"accuracy": f"{scores.top1:.2%} of {scores.images:,} {where}{top5}"}
    if manifest.test is not None:
        rows["trained network"] = f"{manifest.test.top1:.2%} of its {manifest.test.images:,} test images (torch, fp32)"
    if parity is not None:
        rows["parity"] = (
            f"logits differ by {parity.max_abs:.1e} at most (allowed {report.tolerance:.0e}), "
            f"{parity.top1_agreement:.2%} same class, on {parity.images:,} images"
        )
    file = manifest.precisions[report.precision]
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    rows["ran on"] = f"{report.provider}, {report.precision} ({versions})"
    rows["network"] = (
        f"{manifest.target}, {file.bytes / 1e6:.2f} MB, {short_count(manifest.parameters)} parameters, "
        f"{short_count(manifest.macs)} multiply-accumulates an image"
    )
    rows |= {"note" if number == 0 else f"note {number + 1}": note for number, note in enumerate(report.notes)}
    rows |= {"failed" if number == 0 else f"failed {number + 1}": why for number, why in enumerate(report.reasons)}
    worst = [(share, name) for share, name in zip(scores.per_class, report.classes, strict=True) if not np.isnan(share)]
    low = ", ".join(f"{name} {share:.0%}" for share, name in sorted(worst)[:3])
    rows["hardest classes"] = low
    verdict = "holds" if report.passed else "does NOT hold"
    after = [] if report.data != "golden" else [f"sskt-edge eval {bundle.path} --data FOLDER    (a whole test set)"]
    show(f"{manifest.name} {verdict} on this machine", rows, [*after, f"sskt-edge predict {bundle.path} IMAGE…"])
