"""From a recipe to a finished run: open everything, train, read the test set once, and strip the branches."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sskt_edge.catalogue.data_sets import DATA_SETS
from sskt_edge.common.errors import DivergenceError, InputError, Interrupted, RunError
from sskt_edge.common.files import write_atomically
from sskt_edge.common.progress import QUIET, Progress, Stoppable
from sskt_edge.common.shell import command
from sskt_edge.data.inputs.input import input_of
from sskt_edge.data.readers import Reader
from sskt_edge.data.split import below_budget
from sskt_edge.methods.learner import Learner
from sskt_edge.recipe.method import MethodOptions
from sskt_edge.recipe.models import DataOptions, Recipe, TrainOptions
from sskt_edge.recipe.precision import Precision
from sskt_edge.sources.engine_selection import EngineChoice
from sskt_edge.sources.soft_labels import SoftLabels
from sskt_edge.sources.sources import Sources
from sskt_edge.targets.records import write_record
from sskt_edge.targets.run_folder import TrainedNetwork, read_run
from sskt_edge.targets.run_layout import RunFolder
from sskt_edge.targets.spec import check_size
from sskt_edge.tasks.class_weights import ClassWeights, class_weights
from sskt_edge.tasks.task import task_named
from sskt_edge.training.device import choose_device, choose_precision
from sskt_edge.training.environment import (
    new_environment,
    new_run_folder,
    other_machine,
    read_environment,
    recipe_file,
    refuse_other_inputs,
    refuse_other_recipe,
)
from sskt_edge.training.feed import Feed, Unlabelled
from sskt_edge.training.finish import finish
from sskt_edge.training.image_list import write_image_list
from sskt_edge.training.inputs import Inputs, open_inputs
from sskt_edge.training.label_queries import sources_of
from sskt_edge.training.learner import build_learner
from sskt_edge.training.loop import TrainContext, Trainer
from sskt_edge.training.repeatable import repeatable
from sskt_edge.training.run_log import RunLog
from sskt_edge.training.signals import StopRequested, StopSignal
from sskt_edge.training.state import TrainState
from sskt_edge.training.teach import soft_labels
from sskt_edge.training.trial import blank_batch, trial_step


@dataclass(frozen=True)
class Fitted:
    """A training that has finished its last epoch but has not read the test set.

    Attributes:
        recipe: the recipe as it was trained.
        reader: the data set, whose test images have not been read yet.
        learner: the target with everything that the method attached to it.
        context: the constant inputs of the training.
        state: the final state, including the validation metric.
        folder: the run's folder, which has no result yet.
    """

    recipe: Recipe
    reader: Reader
    learner: Learner
    context: TrainContext
    state: TrainState
    folder: RunFolder


def train(
    recipe: Recipe,
    runs: Path | str = "runs",
    resume: Path | str | None = None,
    progress: Progress = QUIET,
    overrides: Sequence[str] = (),
    *,
    show_epochs: bool = True,
) -> TrainedNetwork:
    """Train a recipe in a new folder of `runs`, or continue the run in the folder `resume`; test once at the end.

    Args:
        recipe: the recipe to train.
        runs: the folder for new runs.
        resume: the folder of an unfinished run.
        progress: draws bars and lines.
        overrides: the KEY=VALUE overrides that `recipe` contains beyond its file. They are only recorded in the run, so
            that `sskt-edge train FILE --resume` finds it without them.
        show_epochs: whether `progress` shows a line for every epoch; the run's log has one in any case.

    Returns:
        The finished run, with the stripped network in eval mode and its result.

    Raises:
        InputError: the recipe names something that does not exist or does not fit; no new run is made.
        ParityError: no engine that the recipe allows reproduces a source's answers.
        DivergenceError: a loss is not a finite number; the last state is kept.
        Interrupted: SIGINT or SIGTERM came; labels and state are saved, and `resume` continues bit for bit.
        StorageError: the run cannot be written; what was saved before stays intact.

    >>> import sskt_edge
    >>> run = sskt_edge.train(sskt_edge.load_recipe("tiny.toml", ["train.epochs=2"]))
    >>> run.result.kept_epoch, run.result.test.images
    (2, 359)
    """
    done = fit(recipe, runs, resume, progress, overrides, show_epochs=show_epochs)
    try:
        with repeatable(done.context.device):
            golden = recipe.export.golden
            finish(recipe.name, golden, done.reader, done.learner, done.context, done.state, done.folder, progress)
    except (KeyboardInterrupt, Interrupted) as stop:  # the command line turns a signal into the second
        raise Interrupted(
            "Stopped while the test images were read; the training is done and saved. "
            f"Continue with: {command('train', done.folder.path, '--resume')}",
            stop.signum if isinstance(stop, Interrupted) else signal.SIGINT,
        ) from None
    return read_run(done.folder.path)


def fit(
    recipe: Recipe,
    runs: Path | str = "runs",
    resume: Path | str | None = None,
    progress: Progress = QUIET,
    overrides: Sequence[str] = (),
    *,
    show_epochs: bool = True,
) -> Fitted:
    """Like train, but the test set is not read, and the run has no result.

    Raises:
        InputError, ParityError, DivergenceError, Interrupted, StorageError: as for train.
    """
    check_size(recipe.target.model, recipe.data.image_size)
    if resume is not None:
        refuse_other_recipe(RunFolder(Path(resume)), recipe)
    device = choose_device(recipe.train.device)
    stop = StopSignal()
    progress = Stoppable(progress, stop.raise_if_set)
    with repeatable(device):
        inputs = open_inputs(recipe, device, progress)
        weights = _class_weights(recipe.task.class_weights, inputs, device)
        classes = len(inputs.reader.classes)
        learner = build_learner(recipe.target, recipe.method, inputs.taught_by, classes, recipe.train, device)
        sources = sources_of(recipe, inputs, device, progress)
        if resume is None:
            choices = sources.choose(pinned={})
            folder = _start(recipe, inputs, learner, choices, device, Path(runs), progress, overrides)
        else:
            folder = RunFolder(Path(resume))
            refuse_other_inputs(folder, inputs)
            choices = sources.choose(pinned=read_environment(folder).engines)
        precision = read_environment(folder).precision
        if precision == "fp16" and device.type != "cuda":
            raise RunError(f"'{folder.path}' is trained in fp16 on CUDA and can continue only there; this is {device}.")
        context = _context(recipe.train, inputs, device, precision, weights)
        trainer = Trainer(learner, context, folder)
        try:
            _run(recipe, inputs, sources, choices, trainer, progress, stop, show_epochs)
        except InputError:  # such as a labels.top_k that turns out to be too small when the sources are queried
            if resume is None and not folder.last.is_file():
                shutil.rmtree(folder.path, ignore_errors=True)
            raise
    return Fitted(recipe, inputs.reader, learner, context, trainer.state, folder)


def settled_precision(recipe: Recipe, progress: Progress = QUIET) -> Precision:
    """The precision that train.precision means on this machine; "auto" is measured on the target alone.

    Raises:
        RecipeError: the device is not available, or cannot train in that precision.
    """
    device = choose_device(recipe.train.device)
    untrained = recipe.target.model_copy(update={"weights": None, "checkpoint": None})
    scratch = MethodOptions.of("scratch")
    learner = build_learner(untrained, scratch, {}, 2, recipe.train, device)
    kind = input_of(recipe.data.name)
    pixels = kind.preprocess(recipe.data.image_size, recipe.target.mean, recipe.target.std)
    blank = blank_batch(kind, pixels, recipe.train.batch_size, recipe.train, device)
    step = trial_step(learner, task_named(recipe.task.name), blank, 2)
    with repeatable(device), progress.bar("try precisions", 1):
        return choose_precision(recipe.train.precision, device, step)[0]


def _class_weights(asked: ClassWeights | None, inputs: Inputs, device: torch.device) -> Tensor | None:
    """The weight of each class, float32 [K]; None if all are equal.

    Raises:
        RecipeError: task.class_weights names an unknown class.
    """
    weights = class_weights(asked, inputs.task, inputs.images.labels, inputs.reader.classes)
    return None if weights is None else torch.from_numpy(weights).to(device)


def _context(
    train: TrainOptions, inputs: Inputs, device: torch.device, precision: Precision, weights: Tensor | None
) -> TrainContext:
    """The loop's inputs, except its batches."""
    return TrainContext(
        train=train,
        validation=inputs.validation,
        task=inputs.task,
        class_weights=weights,
        pixels=inputs.pixels,
        device=device,
        precision=precision,
    )


def _start(
    recipe: Recipe,
    inputs: Inputs,
    learner: Learner,
    choices: Mapping[str, EngineChoice],
    device: torch.device,
    runs: Path,
    progress: Progress,
    overrides: Sequence[str],
) -> RunFolder:
    """Decide the precision, and create the run's folder with the files that are known before the first step."""
    blank = blank_batch(inputs.input_kind, inputs.pixels, len(inputs.images), recipe.train, device)
    step = trial_step(learner, inputs.task, blank, len(inputs.reader.classes))
    with progress.bar("try precisions", 1):
        precision, why = choose_precision(recipe.train.precision, device, step)
    folder = new_run_folder(runs, recipe.name)
    engines = {name: choice.engine.name for name, choice in choices.items()}
    environment = new_environment(recipe, inputs, engines, device, precision, why, overrides)
    files = inputs.labelled if DATA_SETS[recipe.data.name].own_files else {}
    if inputs.unlabelled is not None and recipe.data.unlabelled != "unlabeled":
        files |= {"unlabelled": inputs.unlabelled}
    try:
        if files:
            write_image_list(folder.images, files, inputs.task, inputs.reader.classes)
        write_record(folder.environment, environment)
        write_atomically(folder.recipe, recipe_file(recipe))
    except BaseException:
        shutil.rmtree(folder.path, ignore_errors=True)
        raise
    return folder


def _run(
    recipe: Recipe,
    inputs: Inputs,
    sources: Sources,
    choices: Mapping[str, EngineChoice],
    trainer: Trainer,
    progress: Progress,
    stop: StopSignal,
    show_epochs: bool,
) -> None:
    """Query the sources and train to the end; save when a signal comes."""
    log = RunLog(trainer.folder, progress, trainer.state.epoch, show_epochs=show_epochs)
    try:
        for line in _opening(recipe, inputs, trainer.folder):
            log.say_once(line)
        for line in _going_on(trainer):
            log.say(line)
        with stop.catching():
            labels = _labels(sources, choices, trainer.folder, log)
            start = time.perf_counter()
            labels = soft_labels(recipe.method, inputs, labels, trainer.folder, log, progress)
            trainer.state.label_seconds += sources.seconds + time.perf_counter() - start
            feed = _feed(recipe.data, recipe.train, inputs, labels)
            trainer.run(feed, log, progress)
            stop.raise_if_set()
    except StopRequested as request:
        saved = "the state is saved" if trainer.folder.last.is_file() else "the labels are kept"
        log.say(f"stopped by signal {request.signum}; {saved}")
        raise Interrupted(
            f"Stopped after {trainer.state.epoch} of {recipe.train.epochs} epochs; {saved}. "
            f"Continue with: {command('train', trainer.folder.path, '--resume')}",
            request.signum,
        ) from None
    except DivergenceError as error:
        log.note(str(error))
        raise
    finally:
        log.close()


def _labels(
    sources: Sources, choices: Mapping[str, EngineChoice], folder: RunFolder, log: RunLog
) -> Sequence[SoftLabels]:
    """Get the soft labels. A signal finds no state to save; the labels stored so far are kept."""
    try:
        return sources.labels(choices, log.say_once)
    except StopRequested as request:
        log.say(f"stopped by signal {request.signum}; the labels so far are kept")
        raise Interrupted(
            "Stopped while the soft labels were made; those so far are kept. "
            f"Continue with: {command('train', folder.path, '--resume')}",
            request.signum,
        ) from None


def _feed(data: DataOptions, train: TrainOptions, inputs: Inputs, labels: Sequence[SoftLabels]) -> Feed:
    unlabelled = None
    if inputs.unlabelled is not None:
        unlabelled = Unlabelled(inputs.unlabelled, labels[1], data.unlabelled_ratio)
    kind, size = inputs.input_kind, data.image_size
    return Feed(inputs.images, labels[0], unlabelled, kind, size, train.batch_size, train.seed)


def _opening(recipe: Recipe, inputs: Inputs, folder: RunFolder) -> list[str]:
    """The lines that describe a run at its start."""
    environment = read_environment(folder)
    names = ", ".join(source.name for source in inputs.sources) or "none"
    further = f" and {len(inputs.unlabelled)} unlabelled ones" if inputs.unlabelled is not None else ""
    lines = [
        f"run {folder.path}",
        f"{len(inputs.images)} training images{further}, {len(inputs.reader.classes)} classes; target "
        f"{recipe.target.model} at {recipe.data.image_size} × {recipe.data.image_size}; sources: {names}",
        f"{environment.machine.device}, {environment.precision} ({environment.precision_why})",
    ]
    lines += [f"{name}: license of the weights {license_}" for name, license_ in inputs.licenses.items()]
    lines += inputs.reader.notes
    short = below_budget(inputs.task.strata(inputs.images.labels), inputs.reader.classes, recipe.data.per_class)
    lines += [*inputs.copies.harmful(), *([short] if short else [])]
    if inputs.reader.skipped:
        lines.append(f"{len(inputs.reader.skipped)} unreadable images skipped; they are listed in environment.json")
    return lines + folder.unprotected(folder.environment, folder.last, folder.best)


def _going_on(trainer: Trainer) -> list[str]:
    """The lines that say where a stopped run continues; empty for a new run."""
    if not trainer.folder.last.is_file():
        return []
    return [
        f"continuing at epoch {trainer.state.epoch + 1}, step {trainer.state.step + 1}",
        *(
            f"this is not the machine that started the run, so last bits may differ: {other}"
            for other in other_machine(trainer.folder, trainer.device)
        ),
    ]
