"""Judge whether a precision's file, run by some library, is close enough to the trained network.

A budget for a share is judged by its 95 % interval: it is met if the whole interval is within the budget, it is not met
if the whole interval is outside, and otherwise there are too few images to tell.
"""

from __future__ import annotations

import decimal
from typing import NamedTuple

from sskt_edge.evaluation.parity import Parity
from sskt_edge.tasks.task import Drop, Task
from sskt_edge.tasks.tolerances import Tolerances


class Verdict(NamedTuple):
    """The verdict on a file.

    Attributes:
        reasons: why it is out of tolerance; empty if it was not shown to be.
        undecided: the checks for which there are too few images; a file that is not out of tolerance is kept anyway.
    """

    reasons: list[str]
    undecided: list[str]


def verdict(
    precision: str, runner: str, parity: Parity, tolerances: Tolerances, task: Task, drop: Drop | None = None
) -> Verdict:
    """Whether a file is within tolerance, out of it, or whether there are too few images to tell.

    fp32 is judged by its logits, for which any number of images is enough. fp16 and int8 are judged by their decisions,
    int8 also by its drop of the metric.

    Args:
        precision: "fp32", "fp16", "int8" or "int8-cpu".
        runner: what ran it, such as "onnxruntime-cpu".
        parity: the comparison with the trained network's logits.
        tolerances: the allowed differences.
        task: the task, which names the decisions and the metric.
        drop: the drop of the metric on the whole test set; if None, it is not judged.
    """
    if parity.not_finite:
        return Verdict([f"{parity.not_finite} of {parity.images} images have logits that are not finite numbers"], [])
    if precision == "fp32":
        return Verdict(_logits(runner, parity, tolerances), [])
    kind = precision.partition("-")[0]
    found = _decisions(kind, parity, getattr(tolerances, f"{kind}_agreement"), task)
    if kind == "int8" and drop is not None:
        of_drop = _drop(drop, tolerances.int8_metric_drop, task)
        found = Verdict(found.reasons + of_drop.reasons, found.undecided + of_drop.undecided)
    return found


def _logits(runner: str, parity: Parity, tolerances: Tolerances) -> list[str]:
    allowed = tolerances.fp32_allowed(runner)
    if parity.difference <= allowed:
        return []
    return [
        f"logits differ by up to {parity.max_abs:.3g}, which is {parity.difference:.3g} of the largest; allowed is "
        f"{allowed:.3g} ({_would_pass(f'fp32_difference.{tolerances.fp32_key(runner)}', parity.difference)}); "
        f"{len(parity.agreement.flips)} of {parity.images} images are decided differently"
    ]


def _decisions(kind: str, parity: Parity, asked: float, task: Task) -> Verdict:
    found = parity.agreement
    low, high = found.interval
    same = (
        f"{found.equal} of {found.decisions} {task.agreeing}, "
        f"95 % interval {100 * low:.1f}–{100 * high:.1f} %, budget {100 * asked:.4g} %"
    )
    if high < asked:
        return Verdict([f"{same} ({_would_pass(f'{kind}_agreement', high, up=False)})"], [])
    return Verdict([], [f"too few images to tell: {same}"] if low < asked else [])


def _drop(drop: Drop, allowed: float, task: Task) -> Verdict:
    low, high = drop.interval
    budget = f"budget {100 * allowed:.4g} point{'' if allowed == 0.01 else 's'}"
    lower = (
        f"on {drop.images} images {task.metric} is {100 * drop.value:.2f} points lower than the trained network's, "
        f"95 % interval {100 * low:+.1f} to {100 * high:+.1f}, {budget}"
    )
    if low > allowed:
        return Verdict([f"{lower} ({_would_pass('int8_metric_drop', low)})"], [])
    return Verdict([], [f"too few images to tell: {lower}"] if high > allowed else [])


def _would_pass(key: str, value: float, up: bool = True) -> str:
    """The tolerance that would pass, rounded to three digits so that it does, as an argument of `sskt-edge export`."""
    rounding = decimal.ROUND_CEILING if up else decimal.ROUND_FLOOR
    with decimal.localcontext(decimal.Context(prec=3, rounding=rounding)):
        rounded = float(+decimal.Decimal(str(value)))
    return f"--set export.parity.{key}={rounded:g} would pass"
