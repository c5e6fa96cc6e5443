"""Train and export several targets on one store of labels, and find what to ship. An interrupted study can go on."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from sskt_edge.bundle.bundle import MANIFEST, Bundle, open_bundle
from sskt_edge.catalogue.targets import TARGETS
from sskt_edge.common.errors import DivergenceError, Interrupted, ParityError, StudyError, nearest
from sskt_edge.common.files import write_atomically
from sskt_edge.common.json import as_json
from sskt_edge.common.printable import as_utf8
from sskt_edge.common.progress import QUIET, Progress, SaidOnce
from sskt_edge.convert.bundle_from_run import bundle_from_run
from sskt_edge.recipe.models import Recipe
from sskt_edge.study.base import study_folder
from sskt_edge.study.data_guard import DataGuard, seen_by
from sskt_edge.study.device_report import DeviceLatency, read_report, with_latencies
from sskt_edge.study.draw_front import draw_front
from sskt_edge.study.front_recipes import recipes_of
from sskt_edge.study.front_result import Front, SizedTarget, points_of
from sskt_edge.study.front_text import markdown_of
from sskt_edge.study.runs import claimed, finished_run
from sskt_edge.targets.run_folder import TrainedNetwork
from sskt_edge.targets.spec import check_size
from sskt_edge.tasks.task import task_named


def parse_targets(text: str) -> tuple[SizedTarget, ...]:
    """The targets in a text such as "resnet20@64,mobilenet_v2@96".

    >>> [target.size for target in parse_targets("resnet20@64, mobilenet_v2@96")]
    [64, 96]

    Raises:
        StudyError: a part is not of this form, occurs twice, or names an unknown target.
        NetworkError: a size is too small for its target.
    """
    found = []
    for part in filter(None, map(str.strip, text.split(","))):
        match = re.fullmatch(r"([A-Za-z0-9_.-]+)@([1-9]\d{0,3})", part)
        if match is None:
            raise StudyError(f"--targets '{part}': expected NAME@SIZE, such as resnet20@64.")
        if match[1] not in TARGETS:
            raise StudyError(
                f"--targets '{part}': unknown target '{match[1]}'. {nearest(match[1], TARGETS)}"
                f"Known: {', '.join(TARGETS)}."
            )
        target = SizedTarget(match[1], int(match[2]))
        check_size(target.model, target.size)
        if target in found:
            raise StudyError(f"--targets: '{part}' is listed twice. Remove one.")
        found.append(target)
    if not found:
        raise StudyError("--targets names no target. Give some, such as --targets resnet20@64,mobilenet_v2@96.")
    return tuple(found)


def front(
    recipe: Recipe,
    targets: Sequence[SizedTarget],
    folder: Path | str = "studies",
    reports: Mapping[str, Path] | None = None,
    pretrained: bool = False,
    progress: Progress = QUIET,
) -> Front:
    """Train the recipe with every target, export each run, and gather accuracy, latency and size of all files.

    The study has a folder in `folder` that is named after the recipe. It holds runs/, bundles/, and front.json,
    front.md and front.png, which are updated after every new target and at the end. After an interruption the same call
    continues. Several processes, also on machines that share the folder, can work on one study: each picks targets that
    no other does.

    Args:
        recipe: the recipe; its target.model and data.image_size are replaced.
        targets: the targets with their sizes, from parse_targets.
        folder: the folder of all studies.
        reports: target's name → the output of `bench --json` on a device, whose latencies are taken instead.
        pretrained: start every target from published weights, where they can be had; see `recipes_of`.
        progress: draws bars and lines.

    Raises:
        InputError: the recipe names something that is missing or does not fit, images changed since a run was trained,
            or a report is about other files.
        Interrupted: SIGINT or SIGTERM came; everything is saved.
        WorkError: as for train and export; but a target that diverges, or whose fp32 file does not hold, is listed as
            missing, and the others continue.
    """
    progress = SaidOnce(progress)
    place = study_folder(recipe, Path(folder))
    latencies = {name: read_report(path) for name, path in (reports or {}).items()}
    so_far = Front(place, recipe, tuple(targets), measured_on=_measured_on(targets, reports or {}))
    present = DataGuard(progress)
    progress.say(f"study {place}")
    recipes = recipes_of(recipe, targets, pretrained, progress)
    with progress.bar("front", len(targets)) as bar:
        try:
            with closing(claimed(recipes, place / "runs", progress)) as claims:
                for target in claims:
                    of_device = latencies.get(target.name)
                    so_far = _with_target(so_far, target, recipes[target], of_device, present, progress)
                    bar.advance()
        except Interrupted as stop:
            done = len({point.target for point in so_far.points})
            raise Interrupted(
                f"Stopped after {done} of {len(targets)} targets; everything is saved in '{place}'. "
                f"Run the same command to continue.",
                stop.exit_code - 128,
            ) from None
    _write(so_far)
    return so_far


def _with_target(
    so_far: Front,
    target: SizedTarget,
    recipe: Recipe,
    latencies: Sequence[DeviceLatency] | None,
    present: DataGuard,
    progress: Progress,
) -> Front:
    """Add the points of one target, whose run and bundle are found or made; `latencies` are those of a device.

    The result is written if a bundle was made.
    """
    made = True
    try:
        run, trained = finished_run(recipe, so_far.folder / "runs", progress)
        if not trained:
            remedy = f"remove '{so_far.folder}' and run the same command again"
            present.check_unchanged(
                recipe.data, task_named(recipe.task.name), seen_by(run), f"'{run.folder.path.name}' was trained", remedy
            )
        bundle, made = _bundle_of(run, so_far.folder / "bundles" / target.name, progress)
    except (DivergenceError, ParityError) as error:
        progress.say(f"{target.name}: {error}")
        found = replace(so_far, missing={**so_far.missing, target.name: str(error)})
    else:
        points = points_of(target, bundle.manifest, bundle.path)
        if latencies is not None:
            points = with_latencies(points, latencies, bundle.manifest, target)
        best = max(points, key=lambda point: (point.holds, point.value))
        of_best = f"at best {best.value:.2%}, {best.precision} by {best.runner}"
        progress.say(f"{target.name}: {of_best}; {len(points)} files by libraries")
        found = replace(so_far, points=(*so_far.points, *points))
    order = {target: number for number, target in enumerate(found.targets)}
    found = replace(found, points=tuple(sorted(found.points, key=lambda point: order[point.target])))
    if made:
        _write(found)
    return found


def _bundle_of(run: TrainedNetwork, path: Path, progress: Progress) -> tuple[Bundle, bool]:
    """The bundle of a run, and whether it was exported now."""
    if (path / MANIFEST).is_file():
        bundle = open_bundle(path)
        if bundle.manifest.lineage.weights_sha256 == run.weights_sha256:
            return bundle, False
    return bundle_from_run(run, path, progress, replace=True), True


def _measured_on(targets: Sequence[SizedTarget], reports: Mapping[str, Path]) -> str:
    """Where latencies were measured: on this machine, or on the devices of the reports."""
    places = [f"the device of {report} ({name})" for name, report in reports.items()]
    here = [] if len(reports) == len(targets) else ["this machine"]
    return ", ".join([*here, *places])


def _write(result: Front) -> None:
    """Write front.json, front.md and front.png, each atomically.

    Raises:
        StorageError: they cannot be written.
    """
    write_atomically(result.folder / "front.json", json.dumps(as_json(result), indent=2).encode() + b"\n")
    write_atomically(result.folder / "front.md", as_utf8(markdown_of(result)).encode())
    if result.points:
        write_atomically(result.folder / "front.png", draw_front(result))
