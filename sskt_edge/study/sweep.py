"""Search over a recipe's values, judged only on validation images. A stopped search can be continued."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from sskt_edge.catalogue.methods import METHODS
from sskt_edge.common.errors import DivergenceError, Interrupted, StudyError, nearest
from sskt_edge.common.files import storage_errors, write_atomically
from sskt_edge.common.json import as_json
from sskt_edge.common.printable import as_utf8
from sskt_edge.common.progress import QUIET, Progress, SaidOnce
from sskt_edge.recipe.method import MethodOptions
from sskt_edge.recipe.models import Recipe
from sskt_edge.study.base import check_seeds, study_folder, study_sha256, with_overrides, with_train
from sskt_edge.study.data_guard import TRAINING, UNLABELLED, DataGuard
from sskt_edge.study.draw_sweep import draw_sweep
from sskt_edge.study.runs import fitted_run
from sskt_edge.study.space import DEFAULT_SPACE, Point, Space, parse_space
from sskt_edge.study.sweep_result import Sweep, Tried
from sskt_edge.study.trials import SAMPLERS, Trials, open_trials, values_of
from sskt_edge.tasks.task import task_named
from sskt_edge.training.environment import read_environment
from sskt_edge.training.train import settled_precision

_DEFAULT_TRIALS = 20
_IMAGES = "data_sha256"  # the key of a study for the hash of the training and validation images
_SHARE = 0.2  # the share of the training images used for validation if no images are left over
_MOST_POINTS = 10_000  # of a grid; all of them are checked before the first training

# If several trials tried the same point, the most informative one represents it.
_STATES = {
    TrialState.COMPLETE: "done",
    TrialState.PRUNED: "diverged",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


def sweep(
    recipe: Recipe,
    space: Space | None = None,
    seeds: Sequence[int] = (0,),
    sampler: str = "grid",
    trials: int | None = None,
    storage: str | None = None,
    study: str | None = None,
    folder: Path | str = "studies",
    progress: Progress = QUIET,
) -> Sweep:
    """Try values of a recipe's keys, judged by the mean over seeds of the last epoch's validation metric.

    All files are in the recipe's study folder: trials/ with the trainings, and a folder of the sweep with sweep.json,
    sweep.md, sweep.png and best.toml, which are updated after every trial. The same call continues the sweep after an
    interruption, or joins it from a second machine with the same storage.

    Args:
        recipe: the recipe whose values are varied.
        space: the keys and their values; by default temperature and alpha as in the paper's figure 4.
        seeds: the seeds; each point is trained with every one.
        sampler: "grid" tries every point; "tpe" makes `trials` trials.
        trials: the number of trials of "tpe", including those of other machines; 20 by default.
        storage: an SQLAlchemy URL that machines can share; by default an SQLite file in the sweep's folder.
        study: the name of the sweep; by default it is derived from the sweep's settings.
        folder: the folder of all studies.
        progress: draws bars and lines.

    Raises:
        RecipeError: a value is not valid for its key.
        StudyError: the options do not fit together, or the storage cannot be used.
        Interrupted: SIGINT or SIGTERM came; everything is saved.
        WorkError: as for train; but a point that diverges is listed as such, and the others continue.
    """
    progress = SaidOnce(progress)
    space = parse_space(DEFAULT_SPACE) if space is None else space
    check_seeds(seeds)
    _check_options(space, seeds, sampler, trials, study)
    _check_effect(recipe, space)
    judged = _judged_once(_with_validation(recipe, progress))
    for point in itertools.islice(space.points(), _MOST_POINTS):
        changes = space.changes(point)
        with_overrides(judged, changes, f"--space: {' '.join(changes)}")
    facts: dict[str, Any] = {
        "recipe": study_sha256(recipe),
        "space": space.as_json(),
        "seeds": list(seeds),
        "validation": judged.data.validation,
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]
    place = study_folder(recipe, Path(folder))
    own = place / f"sweep-{study or digest}"
    name = study or f"{place.name}-{digest}"
    progress.say(f"sweep {own}")
    if storage is None:
        with storage_errors(own):
            own.mkdir(parents=True, exist_ok=True)
        storage = f"sqlite:///{own / 'trials.db'}"
    with open_trials(storage, name, space, sampler, facts, own) as opened:
        _refuse_changed(opened, judged, progress)
        precision = _precision_of(opened, recipe, progress)
        ran = _Ran(opened, judged, tuple(seeds), precision, place / "trials", progress)
        many = len(space) if sampler == "grid" else trials or _DEFAULT_TRIALS

        def so_far() -> Sweep:
            found, images = _tried(opened, tuple(seeds))
            return Sweep(own, recipe, space, sampler, tuple(seeds), precision, judged.data.validation, images, found)

        try:
            _run(opened, ran, sampler, many, lambda: _write(so_far()), progress)
        except Interrupted as stop:
            done = len(opened.in_state(TrialState.COMPLETE, TrialState.PRUNED))
            raise Interrupted(
                f"Stopped after {done} of {many} trials; everything is saved in '{own}'. "
                f"Run the same command to continue.",
                stop.exit_code - 128,
            ) from None
        result = so_far()
    _write(result)
    return result


def _check_options(space: Space, seeds: Sequence[int], sampler: str, trials: int | None, study: str | None) -> None:
    if sampler not in SAMPLERS:
        raise StudyError(f"--sampler {sampler}: unknown. {nearest(sampler, SAMPLERS)}Known: {', '.join(SAMPLERS)}.")
    if sampler == "grid" and trials is not None:
        raise StudyError("--trials belongs to --sampler tpe; a grid tries every point.")
    if sampler == "grid" and len(space) > _MOST_POINTS:
        raise StudyError(f"A grid of {len(space):,} points is more than {_MOST_POINTS:,}. Use --sampler tpe.")
    if not seeds or (trials is not None and trials < 1):
        raise StudyError(f"Nothing to try: {len(seeds)} seeds, {trials} trials. At least one of each is needed.")
    if study is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", study):
        raise StudyError(f"--study '{study}': expected letters, digits, '.', '_' and '-', since it names a folder.")


def _check_effect(recipe: Recipe, space: Space) -> None:
    """Refuse keys without an effect: those of sources if none is queried, and all keys if nothing is trained."""
    if recipe.train.epochs == 0:
        raise StudyError("train.epochs = 0: nothing is trained, so there is nothing to choose. Set it to 1 or more.")
    keys = [axis.key for axis in space.axes]
    if recipe.method.asks_sources or "method.name" in keys:
        return
    own = {f"method.{key}" for key in type(recipe.method).model_fields}
    for key in keys:
        if key.partition(".")[0] in ("method", "sources", "labels") and key not in own:
            asking = " or ".join(f"'{name}'" for name in METHODS if MethodOptions.of(name).asks_sources)
            raise StudyError(
                f"--space {key}: it has no effect while method.name = '{recipe.method.name}'. Set it to {asking}."
            )


def _with_validation(recipe: Recipe, progress: Progress) -> Recipe:
    """The recipe with validation images: those that it names, else those that no training would use, else a share.

    Raises:
        RecipeError: the share leaves too little.
    """
    if recipe.data.validation != 0:
        return recipe
    if recipe.data.per_class > 0 and recipe.data.unlabelled != "rest":
        share, what = "rest", "the images that data.per_class leaves over"
    else:
        share, what = str(_SHARE), f"{_SHARE:.0%} of the training images"
    progress.say(f"data.validation is 0; the sweep uses data.validation = {share}, {what}")
    return with_overrides(recipe, [f"data.validation={share}"], f"sweep, with data.validation = {share}")


def _judged_once(recipe: Recipe) -> Recipe:
    """The recipe, validated only after the last epoch if nothing else counts: with many images a validation is slow."""
    last_counts = recipe.train.keep == "last" and not recipe.train.schedule.needs_validation
    return with_train(recipe, validate_every=recipe.train.epochs) if last_counts else recipe


def _refuse_changed(opened: Trials, judged: Recipe, progress: Progress) -> None:
    """Refuse images that changed since trials were judged on them, even if nothing is left to try."""
    known = {TRAINING: opened.study.user_attrs.get(_IMAGES), UNLABELLED: opened.study.user_attrs.get(_further(judged))}
    then = {what: sha256 for what, sha256 in known.items() if sha256}
    since = f"the study '{opened.study.study_name}' began"
    DataGuard(progress).check_unchanged(
        judged.data, task_named(judged.task.name), then, since, "name a new study: --study NAME"
    )


def _further(recipe: Recipe) -> str:
    """The key of a study for the hash of a recipe's unlabelled images, which may be swept."""
    return f"unlabelled: {recipe.data.unlabelled}"


def _precision_of(opened: Trials, recipe: Recipe, progress: Progress) -> str:
    """The precision that train.precision means in this sweep: the first machine measures it, and all use it."""
    if "precision" not in opened.study.user_attrs:
        opened.study.set_user_attr("precision", settled_precision(recipe, progress))
    return str(opened.study.user_attrs["precision"])


def _run(
    opened: Trials,
    objective: Callable[[optuna.Trial], float],
    sampler: str,
    many: int,
    write: Callable[[], None],
    progress: Progress,
) -> None:
    """Run trials until every point of the grid, or `many` trials, are done or taken by another process."""
    with progress.bar("sweep", many) as bar:
        bar.advance(len(opened.in_state(TrialState.COMPLETE, TrialState.PRUNED)))
        while True:
            opened.queue(opened.space.points() if sampler == "grid" else ())
            waiting = opened.in_state(TrialState.WAITING)
            if not waiting and (sampler == "grid" or len(opened.all_but_failed()) >= many):
                return
            opened.run_one(objective)
            bar.advance()
            write()


class _Ran:
    """The objective: a point's trainings, one per seed."""

    def __init__(
        self,
        opened: Trials,
        recipe: Recipe,
        seeds: tuple[int, ...],
        precision: str,
        runs: Path,
        progress: Progress,
    ) -> None:
        self._opened, self._recipe, self._seeds = opened, recipe, seeds
        self._precision, self._runs, self._progress = precision, runs, progress

    def __call__(self, trial: optuna.Trial) -> float:
        """The mean over seeds of the metric on validation images after the last epoch.

        Raises:
            optuna.TrialPruned: a training diverged.
        """
        trial.set_user_attr("worker", self._opened.worker)
        space = self._opened.space
        point = space.point({axis.key: trial.suggest_categorical(axis.key, axis.choices) for axis in space.axes})
        self._take_over(trial, point)
        found = dict(trial.user_attrs.get("values", {}))
        recipe = with_overrides(self._recipe, space.changes(point), "sweep")
        for seed in self._seeds:
            if str(seed) not in found:
                found[str(seed)] = self._train(recipe, seed, trial, ", ".join(space.changes(point)))
                trial.set_user_attr("values", found)
        return float(sum(found[str(seed)] for seed in self._seeds) / len(self._seeds))

    def _take_over(self, trial: optuna.Trial, point: Point) -> None:
        """Use the result of an earlier trial of exactly this point: the same training would give the same result."""
        for other in self._opened.in_state(TrialState.COMPLETE, TrialState.PRUNED):
            if self._opened.point(other) == point:
                self._progress.say(f"{', '.join(self._opened.space.changes(point))}: tried before; its result is kept")
                for key in {"values", "images", "why"} & other.user_attrs.keys():
                    trial.set_user_attr(key, other.user_attrs[key])
                if other.state == TrialState.PRUNED:
                    raise optuna.TrialPruned(other.user_attrs.get("why", ""))
                return

    def _train(self, recipe: Recipe, seed: int, trial: optuna.Trial, what: str) -> float:
        try:
            fitted = fitted_run(with_train(recipe, seed=seed, precision=self._precision), self._runs, self._progress)
        except DivergenceError as error:
            self._progress.say(f"{what}, seed {seed}: {error}")
            trial.set_user_attr("why", str(error))
            raise optuna.TrialPruned(str(error)) from error
        validation, value = fitted.context.validation, fitted.state.validation_metric
        if validation is None or value is None:
            raise StudyError(
                f"The run '{fitted.folder.path}' has no validation metric. Move it elsewhere; it is then trained again."
            )
        environment = read_environment(fitted.folder)
        self._refuse_other_images(_IMAGES, environment.data_sha256)
        if environment.unlabelled_sha256 is not None:
            self._refuse_other_images(_further(recipe), environment.unlabelled_sha256)
        trial.set_user_attr("images", len(validation))
        self._progress.say(
            f"{what}, seed {seed}: {value:.2%} {fitted.context.task.metric} on {len(validation):,} validation images"
        )
        return value

    def _refuse_other_images(self, which: str, sha256: str) -> None:
        study = self._opened.study
        if which not in study.user_attrs:
            study.set_user_attr(which, sha256)
        if study.user_attrs[which] != sha256:
            raise StudyError(
                f"The study '{study.study_name}' was started with other training, validation or unlabelled images, "
                f"so its trials cannot be compared with this one. Put those images back, or name a new study: "
                f"--study NAME."
            )


def _tried(opened: Trials, seeds: tuple[int, ...]) -> tuple[tuple[Tried, ...], int]:
    """Every point that was tried, once, best first; and the number of validation images."""
    found: dict[Point, FrozenTrial] = {}
    trials = [trial for state in _STATES for trial in opened.in_state(state)]
    for trial in trials:
        point = opened.point(trial)
        if point is not None:
            found.setdefault(point, trial)
    tried = [
        Tried(point, values_of(trial, seeds), _STATES[trial.state], trial.user_attrs.get("why", ""))
        for point, trial in found.items()
    ]
    tried.sort(key=lambda one: (-one.over_seeds.mean if one.over_seeds else 1.0, one.point))
    return tuple(tried), max((trial.user_attrs.get("images", 0) for trial in trials), default=0)


def _write(result: Sweep) -> None:
    """Write sweep.json, sweep.md, sweep.png and best.toml, each atomically.

    Raises:
        StorageError: they cannot be written.
    """
    write_atomically(result.folder / "sweep.json", json.dumps(as_json(result), indent=2).encode() + b"\n")
    write_atomically(result.folder / "sweep.md", as_utf8(result.as_markdown()).encode())
    if result.best is not None:
        write_atomically(result.folder / "sweep.png", draw_sweep(result))
        write_atomically(result.folder / "best.toml", result.best_recipe(result.best).encode())
