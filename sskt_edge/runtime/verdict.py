"""Is a precision's file, run by some library, near enough to the trained network? If not, by how much?"""

from __future__ import annotations

import decimal

from sskt_edge.runtime.metrics import interval
from sskt_edge.runtime.parity import Parity
from sskt_edge.runtime.tolerances import Tolerances

_DEVIATIONS = 3.0


def verdict(
    precision: str, runner: str, parity: Parity, tolerances: Tolerances, drop: float | None = None
) -> list[str]:
    """Why a file is out of tolerance; nothing where it holds.

    fp32 is judged by its logits, fp16 and int8 by the first class. Where not the whole test set was run, chance is
    allowed for (three standard deviations), and what int8 costs in accuracy is not judged.

    Args:
        precision: "fp32", "fp16", "int8" or "int8-cpu".
        runner: what ran it, such as "onnxruntime-cpu".
        parity: against the trained network's logits.
        tolerances: what is allowed.
        drop: the accuracy of the trained network less that of the file, both on the whole test set; else None.
    """
    if parity.not_finite:
        return [f"{parity.not_finite} of {parity.images} images have logits that are not finite numbers"]
    if precision == "fp32":
        return _logits(runner, parity, tolerances)
    kind = precision.partition("-")[0]
    reasons = _classes(kind, parity, getattr(tolerances, f"{kind}_top1_agreement"), drop is not None)
    drop = None if drop is None else round(drop, 12)  # a difference of shares is a little off
    if kind == "int8" and drop is not None and drop > tolerances.int8_accuracy_drop:
        reasons.append(
            f"accuracy is {100 * drop:.2f} points lower than the trained network's, allowed are "
            f"{100 * tolerances.int8_accuracy_drop:.2f} points ({_would_pass('int8_accuracy_drop', drop)})"
        )
    return reasons


def _logits(runner: str, parity: Parity, tolerances: Tolerances) -> list[str]:
    allowed = tolerances.fp32_allowed(runner)
    if parity.difference <= allowed:
        return []
    return [
        f"logits differ by up to {parity.max_abs:.3g}, which is {parity.difference:.3g} of the largest, allowed is "
        f"{allowed:.3g} ({_would_pass(f'fp32_difference.{tolerances.fp32_key(runner)}', parity.difference)}); "
        f"{len(parity.flips)} of {parity.images} images change their first class"
    ]


def _classes(kind: str, parity: Parity, asked: float, whole: bool) -> list[str]:
    share, images = parity.top1_agreement, parity.images
    # The highest share of a whole set from which this one may have been drawn.
    possible = share if whole else interval(share, images, _DEVIATIONS)[1]
    if possible >= asked:
        return []
    chance = "" if whole else f", and so few give no more than {possible:.2%} of all a chance"
    return [
        f"{share:.2%} of {images} images have the trained network's class, {asked:.2%} must{chance} "
        f"({_would_pass(f'{kind}_top1_agreement', possible, up=False)})"
    ]


def _would_pass(key: str, value: float, up: bool = True) -> str:
    """The tolerance that passes, in three digits, rounded to the side that does: an argument of `sskt-edge export`."""
    rounding = decimal.ROUND_CEILING if up else decimal.ROUND_FLOOR
    with decimal.localcontext(decimal.Context(prec=3, rounding=rounding)):
        rounded = float(+decimal.Decimal(str(value)))
    return f"--set export.parity.{key}={rounded:g} would pass"
