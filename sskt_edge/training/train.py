"""From a recipe to a finished run: open everything, train, read the test set once, strip."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import tomli_w
import torch

from sskt_edge.data.pixels import Pixels
from sskt_edge.data.readers import Reader
from sskt_edge.data.views import ViewPolicy
from sskt_edge.errors import DivergenceError, Interrupted, RunError
from sskt_edge.recipe.models import Recipe
from sskt_edge.runtime.files import write_atomically
from sskt_edge.runtime.progress import QUIET, Progress
from sskt_edge.sources.labels import LabelPlan, SoftLabels
from sskt_edge.sskt.losses import AuxiliaryLoss
from sskt_edge.sskt.network import BranchedTarget
from sskt_edge.targets.build import build_target
from sskt_edge.targets.exact import exact
from sskt_edge.targets.registry import TARGETS, check_size
from sskt_edge.targets.run_folder import RunFolder, TrainedNetwork, read_run
from sskt_edge.training.device import Precision, choose_device, choose_precision, trial_step
from sskt_edge.training.environment import (
    new_environment,
    new_run_folder,
    other_machine,
    read_environment,
    refuse_other_inputs,
)
from sskt_edge.training.finish import finish
from sskt_edge.training.inputs import Inputs, open_inputs
from sskt_edge.training.loop import Setting, Trainer, layout, trial_loss
from sskt_edge.training.run_log import RunLog
from sskt_edge.training.signals import StopRequested, StopSignal
from sskt_edge.training.state import Position


@dataclass(frozen=True)
class Fitted:
    """A training that went to its last epoch and has not seen the test set.

    Attributes:
        recipe: as it was trained.
        reader: the data set, which still has its test images to give.
        network: with its branches.
        setting: what it was trained with.
        position: where it stands, its validation accuracy among it.
        folder: the run's, without a result yet.
    """

    recipe: Recipe
    reader: Reader
    network: BranchedTarget
    setting: Setting
    position: Position
    folder: RunFolder


def train(
    recipe: Recipe, runs: Path | str = "runs", resume: Path | str | None = None, progress: Progress = QUIET
) -> TrainedNetwork:
    """Train as a recipe says, into a new folder of `runs`, or go on in the run folder `resume`; test once at the end.

    Returns:
        The finished run: the stripped network in eval mode, with its result.

    Raises:
        InputError: the recipe names what is not there or does not fit; nothing was written.
        DivergenceError: a loss is not a finite number; the last state is kept.
        Interrupted: SIGINT or SIGTERM; the state is saved, and `resume` goes on bit for bit.
        StorageError: the disk does not take the run; what was saved is whole.
    """
    done = fit(recipe, runs, resume, progress)
    with _repeatable(done.setting.device):
        finish(recipe, done.reader, done.network, done.setting, done.position, done.folder, progress)
    return read_run(done.folder.path)


def fit(
    recipe: Recipe, runs: Path | str = "runs", resume: Path | str | None = None, progress: Progress = QUIET
) -> Fitted:
    """As train, but the test set is not read, and the run has no result.

    Raises:
        InputError, DivergenceError, Interrupted, StorageError: as train.
    """
    check_size(recipe.target.model, recipe.data.image_size)
    device = choose_device(recipe.train.device)
    stop = StopSignal()
    with _repeatable(device):
        inputs = open_inputs(recipe, device, progress)
        network = _branched_target(recipe, inputs)
        network.to(device=device, memory_format=layout(recipe.train))  # type: ignore[call-overload]
        setting = _setting(recipe, inputs, device, progress, stop)
        if resume is None:
            folder, setting = _start(recipe, inputs, network, setting, Path(runs), progress)
        else:
            folder = RunFolder(Path(resume))
            refuse_other_inputs(folder, recipe, inputs)
            setting = replace(setting, precision=read_environment(folder).precision)
            if setting.precision == "fp16" and device.type != "cuda":
                raise RunError(f"'{folder.path}' was trained in fp16 on CUDA and goes on only there; this is {device}.")
        trainer = Trainer(network, setting, folder)
        _run(recipe, inputs, trainer, folder, progress, stop)
    return Fitted(recipe, inputs.reader, network, setting, trainer.position, folder)


def settled_precision(recipe: Recipe, progress: Progress = QUIET) -> Precision:
    """What train.precision means on this machine, measured on the target alone where it is "auto".

    Raises:
        RecipeError: the device is not there, or cannot train in that precision.
    """
    device = choose_device(recipe.train.device)
    untrained = recipe.target.model_copy(update={"weights": None, "checkpoint": None})
    target = build_target(untrained, 2, recipe.train.seed)
    network = BranchedTarget(target, TARGETS[recipe.target.model], {})
    network.to(device=device, memory_format=layout(recipe.train))  # type: ignore[call-overload]
    loss = trial_loss(recipe, recipe.train.batch_size, 2, device)
    with _repeatable(device), progress.bar("try precisions", 1):
        return choose_precision(recipe.train.precision, device, trial_step(network, loss, device))[0]


@contextmanager
def _repeatable(device: torch.device) -> Iterator[None]:
    """Deterministic kernels inside; the process's random numbers stay as they were."""
    with exact(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def _branched_target(recipe: Recipe, inputs: Inputs) -> BranchedTarget:
    """The target, and its branches, both initialised from the recipe's seed."""
    primary = build_target(recipe.target, len(inputs.reader.classes), recipe.train.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.train.seed)
        return BranchedTarget(
            primary,
            TARGETS[recipe.target.model],
            {source.name: source.classes for source in inputs.sources},
            recipe.sskt.transfer_module,
            recipe.sskt.combine,
        )


def _setting(recipe: Recipe, inputs: Inputs, device: torch.device, progress: Progress, stop: StopSignal) -> Setting:
    """All that the loop works with; the precision is still open."""
    augment, size, sskt = recipe.data.augment, recipe.data.image_size, recipe.sskt
    policy = ViewPolicy(size, augment.crop_padding, augment.random_resized_crop, augment.horizontal_flip)
    plan = LabelPlan(policy, recipe.data.view_seed, recipe.labels.views, recipe.labels.batch_size)
    auxiliary = {
        part.name: AuxiliaryLoss(
            sskt.alpha if part.alpha is None else part.alpha, sskt.loss, sskt.temperature, sskt.kd_reduction
        )
        for part in recipe.active_sources
    }
    return Setting(
        train=recipe.train,
        images=inputs.images,
        validation=inputs.validation,
        labels=SoftLabels(inputs.sources, inputs.images, inputs.sides, plan, progress, stop.raise_if_set),
        auxiliary=auxiliary,
        pixels=Pixels(size, recipe.target.mean, recipe.target.std),
        device=device,
        precision="fp32",
    )


def _start(
    recipe: Recipe, inputs: Inputs, network: BranchedTarget, setting: Setting, runs: Path, progress: Progress
) -> tuple[RunFolder, Setting]:
    """Decide the precision, and make the run's folder with what is known before the first step."""
    loss = trial_loss(recipe, len(setting.images), len(inputs.reader.classes), setting.device)
    with progress.bar("try precisions", 1):
        precision, why = choose_precision(
            recipe.train.precision, setting.device, trial_step(network, loss, setting.device)
        )
    folder = new_run_folder(runs, recipe.name)
    environment = new_environment(recipe, inputs, setting.device, precision, why)
    try:
        write_atomically(folder.environment, environment.model_dump_json(indent=2).encode() + b"\n")
        write_atomically(folder.recipe, tomli_w.dumps(recipe.model_dump(mode="json", exclude_none=True)).encode())
    except BaseException:
        shutil.rmtree(folder.path, ignore_errors=True)
        raise
    return folder, replace(setting, precision=precision)


def _run(
    recipe: Recipe, inputs: Inputs, trainer: Trainer, folder: RunFolder, progress: Progress, stop: StopSignal
) -> None:
    """Train to the end, or save when a signal comes."""
    log = RunLog(folder, progress, trainer.position.epoch)
    try:
        for line in _opening(recipe, inputs, trainer, folder):
            log.say(line)
        with stop.catching():
            trainer.run(log, progress, stop)
            stop.raise_if_set()
    except StopRequested as request:
        log.say(f"stopped by signal {request.signum}; the state is saved")
        raise Interrupted(
            f"Stopped after {trainer.position.epoch} of {recipe.train.epochs} epochs; the state is saved. "
            f"Go on with: sskt-edge train {folder.path} --resume",
            request.signum,
        ) from None
    except DivergenceError as error:
        log.note(str(error))
        raise
    finally:
        log.close()


def _opening(recipe: Recipe, inputs: Inputs, trainer: Trainer, folder: RunFolder) -> list[str]:
    """What a user wants to know before waiting."""
    environment = read_environment(folder)
    names = ", ".join(source.name for source in inputs.sources) or "none, from scratch"
    lines = [
        f"run {folder.path}",
        f"{len(inputs.images)} training images, {len(inputs.reader.classes)} classes; target {recipe.target.model} at "
        f"{recipe.data.image_size} × {recipe.data.image_size}; sources: {names}",
        f"{environment.machine.device}, {environment.precision} ({environment.precision_why})",
    ]
    if inputs.reader.skipped:
        lines.append(f"{len(inputs.reader.skipped)} unreadable images skipped; they are listed in environment.json")
    if folder.last.is_file():
        lines.append(f"going on at epoch {trainer.position.epoch + 1}, step {trainer.position.step + 1}")
        lines += [
            f"not the machine that started this run, so last bits may differ: {other}"
            for other in other_machine(folder, trainer.device)
        ]
    return lines
