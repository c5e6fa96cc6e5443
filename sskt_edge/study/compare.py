"""Compare methods with the same images, views and seeds. Every finished run is kept, and nothing is trained twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from sskt_edge.common.errors import DivergenceError, Interrupted, RunError, StudyError
from sskt_edge.common.files import write_atomically
from sskt_edge.common.json import as_json
from sskt_edge.common.lock import locked
from sskt_edge.common.printable import as_utf8
from sskt_edge.common.progress import QUIET, Progress, SaidOnce
from sskt_edge.common.seal import carries_hash, unprotected
from sskt_edge.recipe.models import Recipe
from sskt_edge.recipe.precision import Precision
from sskt_edge.study.arms import Arm, arms_of
from sskt_edge.study.base import check_seeds, study_folder, study_sha256, with_train
from sskt_edge.study.comparison import Comparison, RunFigures
from sskt_edge.study.comparison_text import markdown_of
from sskt_edge.study.data_guard import DataGuard, seen_by
from sskt_edge.study.draw_comparison import draw_comparison
from sskt_edge.study.latency import latencies
from sskt_edge.study.runs import claimed, finished_run
from sskt_edge.targets.records import read_record, write_record
from sskt_edge.targets.run_folder import TrainedNetwork, read_run
from sskt_edge.tasks.task import task_named
from sskt_edge.training.environment import Environment, read_environment
from sskt_edge.training.rank_sources import with_probes
from sskt_edge.training.source_answers import SourceAnswers, source_answers
from sskt_edge.training.train import settled_precision


class Study(BaseModel):
    """study.json: the settings that the trainings of a study share beyond its recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    recipe_sha256: str
    precision: Precision


def compare(
    recipe: Recipe,
    seeds: Sequence[int] = range(5),
    arms: Sequence[Arm] | None = None,
    folder: Path | str = "studies",
    progress: Progress = QUIET,
) -> Comparison:
    """Train every arm with every seed, or use existing runs, and compare the arms with the first.

    The study has a folder in `folder` that is named after the recipe. It holds runs/, and compare.json, compare.md and
    compare.png, which are updated after every training. After an interruption the same call continues the study.
    Several processes, also on machines that share the folder, can work on one study: each picks trainings that no
    other does, and all end with the same comparison.

    Args:
        recipe: the recipe that the arms change.
        seeds: the seeds; every arm is trained with each of them, seed by seed, if one process works alone.
        arms: the arms; by default those of arms_of(recipe).
        folder: the folder of all studies.
        progress: draws bars and lines.

    Raises:
        InputError: an arm's recipe names something that is missing or does not fit, or a run of the study was changed.
        Interrupted: SIGINT or SIGTERM came; everything is saved.
        WorkError: as for train; but a run that diverges is listed as missing, and the others continue.
    """
    progress = SaidOnce(progress)
    chosen = arms_of(recipe) if arms is None else tuple(arms)
    check_seeds(seeds)
    if not seeds or not chosen:
        raise StudyError(f"Nothing to compare: {len(chosen)} arms, {len(seeds)} seeds. At least one of each is needed.")
    if all(arm.missing for arm in chosen):
        raise StudyError(f"Nothing to compare: {'; '.join(f'{arm.name}: {arm.missing}' for arm in chosen)}")
    place = study_folder(recipe, Path(folder))
    precision = _precision_of(recipe, place, progress)
    so_far = Comparison(place, recipe, precision, tuple(seeds), chosen)
    arm_named = {arm.name: arm for arm in chosen if not arm.missing}
    trainings = {(seed, name): _recipe_of(arm, seed, precision) for seed in seeds for name, arm in arm_named.items()}
    present = DataGuard(progress)
    progress.say(f"study {place}")
    for line in so_far.missing:
        progress.say(line)
    with progress.bar("compare", len(trainings)) as bar:
        try:
            with closing(claimed(trainings, place / "runs", progress)) as claims:
                for seed, name in claims:
                    so_far = _with_run(so_far, arm_named[name], seed, trainings[seed, name], present, progress)
                    bar.advance()
        except Interrupted as stop:
            done = sum(map(len, so_far.figures.values()))
            raise Interrupted(
                f"Stopped after {done} of {len(trainings)} trainings; everything is saved in '{place}'. "
                f"Run the same command to continue.",
                stop.exit_code - 128,
            ) from None
    so_far = _with_latencies(_with_sources(so_far, progress), progress)
    _write(so_far)
    return so_far


def _with_sources(so_far: Comparison, progress: Progress) -> Comparison:
    """Add the answers of the sources themselves, if an arm fits a probe on them: once for arms with the same ones."""
    probed: dict[str, Recipe] = {}
    for arm in so_far.arms:
        if not arm.missing and arm.recipe.method.fits_probe:
            recipe = with_probes(arm.recipe)
            if not any((recipe.sources, recipe.data) == (one.sources, one.data) for one in probed.values()):
                probed[arm.name] = recipe
    answers: list[SourceAnswers] = []
    for name, recipe in probed.items():
        known = {one.name for one in answers}
        found = source_answers(recipe, progress)
        answers += [replace(one, name=f"{one.name} of {name}") if one.name in known else one for one in found]
    return replace(so_far, sources=tuple(sorted(answers, key=lambda one: -one.test.value)))


def _with_latencies(so_far: Comparison, progress: Progress) -> Comparison:
    """Add how long the networks take for one image, if there is a choice."""
    if not so_far.has_choice_of_networks:
        return so_far
    first = {arm: next(iter(found.values())).run for arm, found in so_far.figures.items() if found}
    runs = {arm: read_run(so_far.folder / "runs" / run) for arm, run in first.items()}
    return replace(so_far, ms=latencies(runs, so_far.sources, so_far.folder / "latency.json", progress))


def _recipe_of(arm: Arm, seed: int, precision: Precision) -> Recipe:
    """The recipe of one training, with the study's precision unless the arm has its own."""
    settled = precision if arm.recipe.train.precision == "auto" else arm.recipe.train.precision
    return with_train(arm.recipe, seed=seed, precision=settled)


def _with_run(
    so_far: Comparison, arm: Arm, seed: int, recipe: Recipe, present: DataGuard, progress: Progress
) -> Comparison:
    """Add one run, found or trained, to the comparison. It is written if the run was trained."""
    try:
        run, trained = finished_run(recipe, so_far.folder / "runs", progress)
    except DivergenceError as error:
        progress.say(f"{arm.name}, seed {seed}: {error}")
        return so_far.failing(arm.name, seed, str(error))
    figures = _figures(run)
    if not trained:
        remedy = f"remove '{so_far.folder / 'runs'}' and run the same command again"
        present.check_unchanged(
            arm.recipe.data, task_named(arm.recipe.task.name), figures.inputs, f"'{figures.run}' was trained", remedy
        )
    more = so_far.having(arm.name, seed, figures)
    more.refuse_unlike()
    progress.say(f"{arm.name}, seed {seed}: {run.result.test.value:.2%}")
    if trained:
        _write(more)
    return more


def _figures(run: TrainedNetwork) -> RunFigures:
    result = run.result
    return RunFigures(
        run=run.folder.path.name,
        value=result.test.value,
        interval=result.test.interval,
        images=result.test.images,
        seconds=result.seconds,
        label_seconds=result.label_seconds,
        parameters=result.primary.parameters,
        macs=result.primary.macs,
        inputs={**seen_by(run), **result.sources},
        made_with=_made_with(read_environment(run.folder)),
    )


def _made_with(environment: Environment) -> dict[str, str]:
    machine = environment.machine.model_dump(exclude={"packages", "python", "platform"})
    told = {**machine, **environment.machine.packages}
    told |= {f"engine of {source}": engine for source, engine in environment.engines.items()}
    return {name: str(value) for name, value in told.items()}


def _precision_of(recipe: Recipe, place: Path, progress: Progress) -> Precision:
    """The precision that train.precision means in this study. It is measured once, so that all runs use the same.

    Raises:
        StudyError: the stored value is broken or was changed.
    """
    file = place / "study.json"
    with locked(place / ".study.lock", "measures the precision of the same study", progress, remove=True):
        if file.is_file():
            return _kept_precision(file, progress)
        precision = settled_precision(recipe, progress)
        write_record(file, Study(name=recipe.name, recipe_sha256=study_sha256(recipe), precision=precision))
        return precision


def _kept_precision(file: Path, progress: Progress) -> Precision:
    try:
        kept = read_record(file, Study, "Remove it: precision is then measured again.")
    except RunError as error:
        raise StudyError(str(error)) from error
    if not carries_hash(file.read_bytes()):
        progress.say(unprotected(f"'{file}'"))
    return kept.precision


def _write(comparison: Comparison) -> None:
    """Write compare.json, compare.md and compare.png, each atomically.

    Raises:
        StorageError: they cannot be written.
    """
    write_atomically(comparison.folder / "compare.json", json.dumps(as_json(comparison), indent=2).encode() + b"\n")
    write_atomically(comparison.folder / "compare.md", as_utf8(markdown_of(comparison)).encode())
    if comparison.spreads:
        write_atomically(comparison.folder / "compare.png", draw_comparison(comparison))
