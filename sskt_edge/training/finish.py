"""The end of a training: read the test set once, record the logits, strip the branches, and write the result last."""

from __future__ import annotations

import hashlib

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor

from sskt_edge.bundle.golden import Golden, pixel_hashes
from sskt_edge.common.errors import DataError, DivergenceError
from sskt_edge.common.files import write_atomically
from sskt_edge.common.progress import Progress
from sskt_edge.common.shell import command
from sskt_edge.data.images import ImageSet
from sskt_edge.data.readers import Reader
from sskt_edge.data.split import rank
from sskt_edge.methods.learner import Learner
from sskt_edge.sources.probe.probe import held_out_scores, probe_from_bytes
from sskt_edge.targets.cost import network_cost
from sskt_edge.targets.finished_run import NetworkCost, RunResult, write_result
from sskt_edge.targets.reference import reference_facts, reference_logits
from sskt_edge.targets.run_layout import RunFolder
from sskt_edge.tasks.score import Score, score_from
from sskt_edge.tasks.task import Task
from sskt_edge.training.environment import read_environment
from sskt_edge.training.loop import TrainContext
from sskt_edge.training.run_log import note_result
from sskt_edge.training.state import TrainState, load_state


def finish(
    name: str,
    golden_images: int,
    reader: Reader,
    learner: Learner,
    context: TrainContext,
    state: TrainState,
    folder: RunFolder,
    progress: Progress,
) -> None:
    """Choose the checkpoint, test it, strip it, and write the result.

    Args:
        name: the recipe's name.
        golden_images: how many test images are kept with the run.
        reader: the data set.
        learner: the learner as it was trained, with its branches.
        context: its training's inputs.
        state: the state at the end of the training.
        folder: the run's folder.
        progress: draws the bars.

    Raises:
        DivergenceError: the trained network's logits are not finite.
        StorageError: the files cannot be written; the training's state stays intact.
    """
    seconds, label_seconds = state.seconds, state.label_seconds
    if context.train.keep == "best":
        state = load_state(folder.best, learner)
    try:
        golden = _record(golden_images, reader, learner, context, progress)
        found = context.task.scores(golden.test_logits, golden.test_labels, len(reader.classes))
    except DataError as error:
        raise DataError(
            f"{error} The training is done and saved. Fix the test images, then run: "
            f"{command('train', folder.path, '--resume')}"
        ) from error
    if found.not_finite:
        raise DivergenceError(
            f"The trained network's logits are not finite for {found.not_finite} test images. "
            f"Try a lower rate, train.optimizer.lr, or train.precision = 'fp32'."
        )
    item = context.pixels(torch.from_numpy(golden.images[:1]).to(context.device))
    whole = network_cost(learner, item)
    primary = learner.strip()
    alone = network_cost(primary, item)
    weights = {key: value.contiguous() for key, value in primary.state_dict().items()}
    primary_bytes, golden_bytes = safetensors.torch.save(weights), golden.as_bytes()
    write_atomically(folder.primary, primary_bytes)
    write_atomically(folder.golden, golden_bytes)
    environment = read_environment(folder)
    probe = folder.probe.read_bytes() if folder.probe.is_file() else None
    result = RunResult(
        name=name,
        classes=reader.classes,
        recipe_sha256=environment.recipe_sha256,
        recipe_file_sha256=environment.recipe_file_sha256,
        data_sha256=environment.data_sha256,
        unlabelled_sha256=environment.unlabelled_sha256,
        sources=environment.sources,
        licenses=environment.licenses,
        kept=context.train.keep,
        kept_epoch=state.epoch,
        task=context.task.name,
        test=score_from(found),
        validation=state.best_metric,
        primary=alone,
        branches=NetworkCost(parameters=whole.parameters - alone.parameters, macs=whole.macs - alone.macs),
        primary_sha256=hashlib.sha256(primary_bytes).hexdigest(),
        golden_sha256=hashlib.sha256(golden_bytes).hexdigest(),
        skipped_images=len(reader.skipped),
        data_notes=tuple(reader.notes),
        seconds=seconds,
        label_seconds=label_seconds,
        probe_sha256=None if probe is None else hashlib.sha256(probe).hexdigest(),
        probes={} if probe is None else held_out_scores(probe_from_bytes(probe, str(folder.probe))),
        reference=reference_facts(),
    )
    write_result(folder, result)
    warning = chance_warning(result.test, context.task.chance(golden.test_labels, len(reader.classes)))
    if warning:
        progress.say(warning)
    facts = [f"{name} {value}" for name, value in result_facts(result).items()]
    note_result(folder, "; ".join([*facts, *filter(None, [warning])]))


def chance_warning(test: Score, chance: float) -> str | None:
    """What to say of a network whose score, by its 95 % interval, may be that of answers that ignore the image.

    Args:
        test: the score on the test images.
        chance: the metric that such answers can be expected to have.

    >>> score = Score(metric="accuracy", value=0.55, interval=(0.45, 0.65), images=100, further={})
    >>> print(str(chance_warning(score, 0.5)).partition(":")[0])
    the network is not clearly better than chance (accuracy 50.0%)
    >>> chance_warning(score, 0.2)
    """
    if test.interval[0] > chance:
        return None
    return (
        f"the network is not clearly better than chance ({test.metric} {chance:.1%}): train it longer (train.epochs), "
        f"or change its rate (train.optimizer.lr)"
    )


def result_facts(result: RunResult) -> dict[str, str]:
    """The main facts of a result: the test score with its 95 % interval, the checkpoint, and the probe's score."""
    kept = f"epoch {result.kept_epoch}, the {result.kept}"
    if result.validation is not None:
        kept += f" (best validation {result.test.metric} {result.validation:.2%})"
    return {f"test {result.test.metric}": str(result.test), "checkpoint": kept, **_probe_fact(result)}


def _probe_fact(result: RunResult) -> dict[str, str]:
    """The score of the probe that taught, if one did, and a warning if the target is better than it."""
    if not result.probes:
        return {}
    name, score = next(iter(result.probes.items()))
    fact = f"{score.metric} {score.value:.2%} on the labelled images, cross-validated ({name})"
    if result.test.interval[0] > score.value:
        fact += "; the target is better than the probe that taught it, so the probe may not help: sskt-edge compare"
    return {"probe": fact}


def _record(golden_images: int, reader: Reader, learner: Learner, context: TrainContext, progress: Progress) -> Golden:
    """The golden set, with the logits of the network as it was trained, with its branches attached."""
    size = context.pixels.size
    test: ImageSet = reader.test([size], progress)

    def forward(images: Tensor) -> Tensor:
        primary: Tensor = learner(images).primary
        return primary

    def logits_of(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return reference_logits(learner, context.pixels, images, progress, forward)

    rows = _golden_rows(test, golden_images, context.task, len(reader.classes))
    images = test.resized[size]
    return Golden(
        images=images[rows],
        labels=test.labels[rows],
        logits=logits_of(images[rows]),
        test_pixels=pixel_hashes(images),
        test_labels=test.labels,
        test_logits=logits_of(images),
    )


def _golden_rows(test: ImageSet, count: int, task: Task, classes: int) -> NDArray[np.int64]:
    """The indices of the golden images, ascending.

    They are drawn by content, so that classes mix and every export of this test set has the same images. At least one
    has a class, since some metrics are not defined otherwise.
    """
    order = rank(test.hashes, seed=0)
    rows = order[:count].copy()
    if not task.class_counts(test.labels[rows], classes).any():
        others = (row for row in order[count:] if task.class_counts(test.labels[[row]], classes).any())
        rows[-1] = next(others, rows[-1])
    return np.sort(rows)
