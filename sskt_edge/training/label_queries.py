"""The label queries of a training: the views that it will use, and how each source is shown them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

from sskt_edge.common.errors import RecipeError
from sskt_edge.common.progress import Progress
from sskt_edge.data.batches import joining, unlabelled_passes
from sskt_edge.data.inputs.input import ViewPolicy
from sskt_edge.recipe.models import DataOptions, LabelOptions, Recipe, TrainOptions
from sskt_edge.sources.engine_rules import EngineRules
from sskt_edge.sources.judge import Judge, LogitsJudge
from sskt_edge.sources.label_query import LabelQuery, gate_slots
from sskt_edge.sources.probe.choose_judge import judge_for_probe
from sskt_edge.sources.source import Source
from sskt_edge.sources.sources import Sources
from sskt_edge.sources.store.store import LabelStore
from sskt_edge.sources.view_schedule import LabelPlan, ViewSchedule
from sskt_edge.training.inputs import Inputs


def sources_of(recipe: Recipe, inputs: Inputs, device: torch.device, progress: Progress) -> Sources:
    """The sources of a recipe, with the views that its training needs labels for.

    Args:
        recipe: the recipe to train.
        inputs: its images and sources.
        device: the device that torch runs on.
        progress: draws the bars; a bar that raises stops the queries, and the labels so far are kept.

    Raises:
        RecipeError: labels.store is a file, or batches would have no unlabelled images.
    """
    labels = recipe.labels
    schedules = _view_schedules(recipe.data, labels, recipe.train, inputs)
    queries = [
        LabelQuery(source, inputs.source_views[source.name], schedules, device, labels.top_k)
        for source in inputs.sources
    ]
    rules = {
        source.name: EngineRules(labels.engine, labels.precision, _judge(source, recipe, inputs, schedules[0]))
        for source in inputs.sources
    }
    store = _label_store(labels.store)
    return Sources(queries, schedules, rules, store, recipe.name, recipe.method.label_temperature, progress)


def _judge(source: Source, recipe: Recipe, inputs: Inputs, labelled: ViewSchedule) -> Judge:
    """The judge of a source's engines: by the probe where it alone reads the source, else by the logits."""
    method, gate = recipe.method, recipe.labels.gate
    if not method.fits_probe or method.reads_logits:
        return LogitsJudge(gate)
    rows = labelled.rows(gate_slots(labelled))
    return judge_for_probe(inputs.task, inputs.images, inputs.reader.classes, rows, gate, source.outputs)


def _view_schedules(
    data: DataOptions, labels: LabelOptions, train: TrainOptions, inputs: Inputs
) -> tuple[ViewSchedule, ...]:
    """The views of the labelled images, and those of the unlabelled images if there are any.

    Raises:
        RecipeError: batches would have no unlabelled images.
    """
    augment = data.augment
    policy = ViewPolicy(data.image_size, augment.crop_padding, augment.random_resized_crop, augment.horizontal_flip)
    plan = LabelPlan(inputs.input_kind, policy, data.view_seed, labels.views, labels.batch_size)
    labelled = ViewSchedule(inputs.images, plan, train.epochs)
    if inputs.unlabelled is None:
        return (labelled,)
    ratio = data.unlabelled_ratio
    per_epoch = sum(joining(len(inputs.images), train.batch_size, ratio))
    if per_epoch == 0:
        raise RecipeError(
            f"data.unlabelled_ratio = {ratio:g} adds no image to a batch of train.batch_size = "
            f"{train.batch_size}. Raise one of them, or leave out data.unlabelled."
        )
    passes, last = unlabelled_passes(len(inputs.unlabelled), per_epoch, train.seed, train.epochs)
    return labelled, ViewSchedule(inputs.unlabelled, plan, passes, last)


def _label_store(name: str | Literal[False]) -> LabelStore | None:
    """The label store, if labels are kept.

    Raises:
        RecipeError: its path is a file.
    """
    if not name:
        return None
    path = Path(name)
    if path.exists() and not path.is_dir():
        raise RecipeError(f"labels.store = '{name}' is a file. Name a folder: --set labels.store=FOLDER.")
    return LabelStore(path)
