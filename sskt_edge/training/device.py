"""The device and the precision of the training."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch

from sskt_edge.common.errors import RecipeError
from sskt_edge.recipe.precision import Precision
from sskt_edge.targets.precision import has_fast_bf16

# bf16 is used only if it is at least this many times as fast as fp32, so that noise does not decide between equals.
_WORTH_IT = 1.15
_FEWEST_TURNS, _MOST_TURNS, _LONG_ENOUGH = 3, 10, 2.0


def choose_device(name: str) -> torch.device:
    """The device that a recipe names; "auto" chooses CUDA, else MPS, else the CPU.

    Raises:
        RecipeError: it is not available.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, present in there.items() if present))
    if not there[name]:
        present = ", ".join(kind for kind, is_there in there.items() if is_there)
        raise RecipeError(
            f"train.device = '{name}' is not available on this machine (available: {present}); or use 'auto'."
        )
    return torch.device(name)


def choose_precision(asked: str, device: torch.device, step: Callable[[Precision], None]) -> tuple[Precision, str]:
    """The precision of the forward pass, and why.

    Args:
        asked: the recipe's value. "auto" chooses bf16 (else fp16) on CUDA, and bf16 on a CPU with bf16 instructions if
            a training step is measured to be faster in it.
        device: the device of the training.
        step: does one training step in the given precision, without changing anything that is kept.

    Raises:
        RecipeError: the device cannot train in it.
    """
    if asked == "fp16" and device.type != "cuda":
        raise RecipeError(f"train.precision = 'fp16' needs CUDA; on {device.type} use 'bf16', 'fp32' or 'auto'.")
    if asked != "auto":
        return asked, "as the recipe says"  # type: ignore[return-value]
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16", "this GPU supports it"
        return "fp16", "this GPU does not support bf16"
    if device.type == "cpu" and has_fast_bf16():
        faster = _times_faster(step)
        return "bf16" if faster >= _WORTH_IT else "fp32", f"bf16 measured {faster:.2f} × as fast as fp32"
    return "fp32", f"this {device.type} has no fast bf16"


def _times_faster(step: Callable[[Precision], None]) -> float:
    """How many times as fast a step is in bf16 as in fp32, by the fastest of several steps taken in turn.

    The fastest counts, since other programs can only slow a step down. Steps alternate, since a machine's speed drifts.
    """
    quickest: dict[Precision, float] = {"fp32": math.inf, "bf16": math.inf}
    start = time.perf_counter()
    for turn in range(_MOST_TURNS):
        for precision, best in quickest.items():
            before = time.perf_counter()
            step(precision)
            quickest[precision] = min(best, time.perf_counter() - before)
        if turn >= _FEWEST_TURNS - 1 and time.perf_counter() - start > _LONG_ENOUGH:
            break
    return quickest["fp32"] / quickest["bf16"]
