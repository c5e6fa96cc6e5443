"""Rank layers by their sensitivity to int8: quantise one at a time and measure the error of the logits."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from sskt_edge.common.progress import Progress
from sskt_edge.convert.evaluation_set import EvaluationSet
from sskt_edge.convert.int8_from_fp32 import Form, Layer, layers, quantised
from sskt_edge.inference.runners import Runner

_IMAGES = 64  # with this many images, the error of a layer stands out from noise


def by_sensitivity(
    model: onnx.ModelProto,
    table: Any,
    form: Form,
    evaluation_set: EvaluationSet,
    runners: tuple[Runner, ...],
    progress: Progress,
) -> list[Layer]:
    """The layers of a prepared network, the most sensitive first.

    A layer's sensitivity is the mean squared error of the logits with only that layer in int8: the largest over the
    runners.

    Args:
        model: a prepared fp32 network.
        table: the ranges of its tensors.
        form: the form of the quantisation.
        evaluation_set: images with the trained network's logits; only the first ones are used.
        runners: the runners of the trials.
        progress: draws the bar.
    """
    few = evaluation_set.first(_IMAGES)
    found = layers(model)
    errors: dict[str, float] = {}
    with progress.bar("sensitivity of layers", len(found)) as bar:
        for layer in found:
            content = quantised(model, table, form, [layer.node])
            answers = [few.answers(content, runner).astype(np.float64) for runner in runners]
            errors[layer.node] = max(float(np.mean((answer - few.logits) ** 2)) for answer in answers)
            bar.advance()
    # NaN counts as the worst.
    return sorted(found, key=lambda layer: -np.nan_to_num(errors[layer.node], nan=np.inf))
