"""Find an int8 file within the recipe's budget: choose the ranges, leave the most sensitive layers in fp32, or refuse.

Only calibration and validation images are used. A trial may use at most two fifths of the budget, since int8 may cost
more on the test set, which is not used here. If no trial achieves that, the search takes the trial with the fewest
layers in fp32 that is not shown to exceed the whole budget: with few images, shares are coarse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import onnx

from sskt_edge.common.errors import ParityError
from sskt_edge.common.progress import Progress
from sskt_edge.convert.calibration import METHODS, Calibrated, Method
from sskt_edge.convert.evaluation_set import EvaluationSet
from sskt_edge.convert.int8_from_fp32 import Form, Layer, layers, quantised
from sskt_edge.convert.sensitivity import by_sensitivity
from sskt_edge.evaluation.verdict import verdict
from sskt_edge.inference.runners import Runner
from sskt_edge.tasks.tolerances import Tolerances

SHARE = 0.4  # the share of the budget that a trial may use
_ROUNDING = 1e-9  # allows for rounding in the difference of two shares
_MOST_KEPT = 0.5  # the largest share of layers in fp32: with more, the file would be int8 in name only


@dataclass(frozen=True)
class Trial:
    """An int8 file and its results on the search images.

    Attributes:
        content: the bytes of the file.
        method: how the ranges were computed.
        layers: the number of layers that could be int8.
        kept: the names of the layers that stay in fp32, the most sensitive first.
        agreement: the lowest share, over the runners, of decisions that equal the trained network's.
        mean_agreement: the mean of that share over the runners.
        drop: the largest drop, over the runners, of the metric on the validation images; None without such images.
        reasons: why it is out of the whole budget, by runner; empty if the images do not show that.
    """

    content: bytes
    method: Method
    layers: int
    kept: tuple[str, ...]
    agreement: float
    mean_agreement: float
    drop: float | None
    reasons: tuple[str, ...]


def int8_within_budget(
    network: Calibrated,
    search: EvaluationSet,
    form: Form,
    runners: tuple[Runner, ...],
    tolerances: Tolerances,
    progress: Progress,
) -> Trial:
    """Make an int8 file of an fp32 network, with as few layers in fp32 as the budget allows.

    Args:
        network: the fp32 network and the ranges of its tensors.
        search: the images for the search.
        form: the form of the quantisation.
        runners: the runners on which the answers must stay within the budget.
        tolerances: the budget.
        progress: draws the bars.

    Raises:
        ParityError: it is shown to exceed the budget even with half of the layers in fp32.
    """
    model = network.model
    found = layers(model)
    if not found:
        raise ParityError("No layer of the network can be int8: it has no convolution and no matrix product.")
    first: list[tuple[Trial, Any]] = []
    for method in METHODS:
        table = network.ranges(method)
        trial = _trial(model, table, form, search, runners, found, method, (), tolerances)
        if _fits(trial, tolerances):
            return trial
        first.append((trial, table))
    # Compare by the mean over all runners: the lowest could be due to one runner's problem with a single layer.
    best, table = max(first, key=lambda pair: pair[0].mean_agreement)
    ranking = by_sensitivity(model, table, form, search, runners, progress)
    attempt = partial(_trial, model, table, form, search, runners, found, best.method)
    return _fewest(lambda count: attempt(tuple(ranking[:count]), tolerances), found, best, tolerances, progress)


def _fewest(
    attempt: Callable[[int], Trial], found: list[Layer], without: Trial, tolerances: Tolerances, progress: Progress
) -> Trial:
    """The fitting trial with the fewest layers kept: double their number until a trial fits, then bisect."""
    most = int(len(found) * _MOST_KEPT)
    too_few, trial, count, tried = 0, without, 0, [without]
    with progress.bar("layers left in fp32", most) as bar:
        while not _fits(trial, tolerances):
            if count == most:
                return _not_refused(tried, len(found))
            too_few, count = count, min(most, max(1, 2 * count))
            trial = attempt(count)
            tried.append(trial)
            bar.advance(count - too_few)
            bar.note(f"{count} layers, {trial.agreement:.2%} agreement")
    while count - too_few > 1:
        middle = (too_few + count) // 2
        between = attempt(middle)
        if _fits(between, tolerances):
            trial, count = between, middle
        else:
            too_few = middle
    return trial


def _trial(
    model: onnx.ModelProto,
    table: Any,
    form: Form,
    evaluation_set: EvaluationSet,
    runners: tuple[Runner, ...],
    found: list[Layer],
    method: Method,
    kept: tuple[Layer, ...],
    tolerances: Tolerances,
) -> Trial:
    content = quantised(model, table, form, [layer.node for layer in found if layer not in kept])
    answers = {runner: evaluation_set.answers(content, runner) for runner in runners}
    parities = {runner: evaluation_set.parity(logits) for runner, logits in answers.items()}
    drops = {runner: evaluation_set.drop(logits) for runner, logits in answers.items()}
    agreements = [parity.agreement.share for parity in parities.values()]
    return Trial(
        content=content,
        method=method,
        layers=len(found),
        kept=tuple(layer.name for layer in kept),
        agreement=min(agreements),
        mean_agreement=float(np.mean(agreements)),
        drop=max((one.value for one in drops.values() if one is not None), default=None),
        reasons=tuple(
            f"{runner.name}: {reason}"
            for runner, parity in parities.items()
            for reason in verdict(
                form.name, runner.name, parity, tolerances, evaluation_set.task, drops[runner]
            ).reasons
        ),
    )


def _fits(trial: Trial, tolerances: Tolerances) -> bool:
    agrees = 1 - trial.agreement <= SHARE * (1 - tolerances.int8_agreement) + _ROUNDING
    return agrees and (trial.drop is None or trial.drop <= SHARE * tolerances.int8_metric_drop + _ROUNDING)


def _not_refused(tried: list[Trial], count: int) -> Trial:
    """The trial with the fewest layers kept that is not shown to exceed the budget."""
    for trial in tried:
        if not trial.reasons:
            return trial
    last = tried[-1]
    named = f" The most sensitive layers: {', '.join(last.kept[:5])}." if last.kept else ""
    raise ParityError(
        f"With {len(last.kept)} of {count} layers left in fp32, int8 is out of tolerance on the calibration and "
        f"validation images: {'; '.join(last.reasons)}.{named}"
    )
