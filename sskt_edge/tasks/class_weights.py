"""The weight of each class in the loss: given by name, or such that rare classes count as much as frequent ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from sskt_edge.common.errors import RecipeError, nearest
from sskt_edge.common.printable import printable
from sskt_edge.common.text import first_of
from sskt_edge.tasks.task import Labels, Task

ClassWeights = Literal["balanced"] | Mapping[str, float]

_MOST_NAMES = 10  # shown in a message


def class_weights(
    asked: ClassWeights | None, task: Task, labels: Labels, classes: Sequence[str]
) -> npt.NDArray[np.float32] | None:
    """The class weights of a recipe. → float32 [K]; None if it sets none.

    Args:
        asked: task.class_weights: "balanced", or class → weight; a class that is not named has weight 1.
        task: the task, whose `Task.loss` uses the weights.
        labels: the labels of the training images.
        classes: the K class names.

    Raises:
        RecipeError: a name is not a class, or a weight is not a number above 0.
    """
    if asked == "balanced":
        return task.class_weights(labels, len(classes))
    if not isinstance(asked, Mapping) or not asked:
        return None
    weights = np.ones(len(classes), dtype=np.float32)
    for name, weight in asked.items():
        if name not in classes:
            shown = first_of([f"'{printable(one)}'" for one in classes], _MOST_NAMES)
            raise RecipeError(
                f"task.class_weights: '{printable(name)}' is not a class of the data. "
                f"{nearest(name, classes)}Classes: {shown}."
            )
        if not (math.isfinite(weight) and weight > 0):
            raise RecipeError(
                f"task.class_weights: '{printable(name)}' has weight {weight:g}; expected a number above 0."
            )
        weights[classes.index(name)] = weight
    return weights
