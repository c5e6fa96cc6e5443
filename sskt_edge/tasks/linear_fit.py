"""Logistic regression, by scikit-learn: the linear layers of probes. It is imported where it is used."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager

import numpy as np
import numpy.typing as npt

from sskt_edge.tasks.task import Labels, Linear

# A search that ends at this many steps is close enough: held-out images choose the strength, and early steps do most.
_STEPS = 100
_TOLERANCE = 1e-3
_NEVER = -30.0  # the logit of a class that was never seen: its probability is 1e-13


def multinomial(inputs: npt.NDArray[np.float32], labels: Labels, start: Linear, strength: float) -> Linear:
    """One softmax over all classes. A class without inputs keeps its weights in `start` and gets a very low bias.

    [N,D], int [N] → the layer.
    """
    present = np.unique(labels)
    weights, bias = start.weights.copy(), np.full_like(start.bias, _NEVER)
    if len(present) == 1:
        bias[present] = 0
        return Linear(weights, bias)
    found = _fit(inputs, labels, start.weights[:, present].T, start.bias[present], strength)
    weights[:, present], bias[present] = found[0].T, found[1]
    return Linear(weights, bias)


def one_by_one(inputs: npt.NDArray[np.float32], labels: Labels, start: Linear, strength: float) -> Linear:
    """One sigmoid for each class, fitted on the inputs whose label for it is known (not -1).

    [N,D], int8 [N,K] → the layer. A class with only positives or only negatives gets a constant answer.
    """
    weights, bias = start.weights.copy(), start.bias.copy()
    for number in range(labels.shape[1]):
        known = labels[:, number] >= 0
        has = labels[known, number]
        if len(np.unique(has)) < 2:
            weights[:, number], bias[number] = 0, _NEVER if not has.any() else -_NEVER
            continue
        row = start.weights[:, number][None], start.bias[[number]]
        found = _fit(inputs[known], has, *row, strength)
        weights[:, number], bias[number] = found[0][0], found[1][0]
    return Linear(weights, bias)


def one_blas_thread() -> AbstractContextManager[object]:
    """A context in which NumPy and SciPy multiply matrices on one thread.

    A fit consists of thousands of products that take a few milliseconds at most. Two threads were up to five times as
    slow with them as one, since they wait for each other after each product.
    """
    import sklearn.linear_model  # noqa: F401  only libraries that are loaded can be limited
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(1, user_api="blas")
    return limits


def _fit(
    inputs: npt.NDArray[np.float32],
    labels: Labels,
    weights: npt.NDArray[np.float32],
    bias: npt.NDArray[np.float32],
    strength: float,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Fit by L-BFGS from a start. [N,D], [N], [K,D], [K] → [K,D], [K]; one row stands for two classes."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, max_iter=_STEPS, tol=_TOLERANCE, warm_start=True)
    two = len(np.unique(labels)) == 2
    # With two classes there is one row, the difference of the two.
    model.coef_ = weights[-1:] - weights[:1] if two and len(weights) == 2 else weights
    model.intercept_ = bias[-1:] - bias[:1] if two and len(bias) == 2 else bias
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(inputs, labels)
    found = np.asarray(model.coef_, dtype=np.float32), np.asarray(model.intercept_, dtype=np.float32)
    if two and len(weights) == 2:
        return np.concatenate([-found[0] / 2, found[0] / 2]), np.concatenate([-found[1] / 2, found[1] / 2])
    return found
