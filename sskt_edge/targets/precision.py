"""The number formats that a forward pass may compute in, and whether this processor supports them."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from sskt_edge.recipe.precision import Precision


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """The context that a forward pass in this precision runs in."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16 if precision == "bf16" else torch.float16)


def bf16_instructions() -> tuple[str, ...]:
    """This CPU's bf16 instruction sets. AVX-512 BF16 and AMX sum in different orders, so that the last bits differ."""
    asked = {"AVX512_BF16": "_is_avx512_bf16_supported", "AMX": "_is_amx_tile_supported"}  # not every torch has them
    return tuple(name for name, of_torch in asked.items() if getattr(torch.cpu, of_torch, bool)())


def has_fast_bf16() -> bool:
    """Whether this CPU has bf16 instructions."""
    return bool(bf16_instructions())


def int8_instructions() -> tuple[str, ...]:
    """This CPU's instruction sets that multiply 8-bit integers and add up the products exactly in 32 bits."""
    asked = {"VNNI": "_is_vnni_supported", "AMX": "_is_amx_tile_supported"}  # not every torch has them
    return tuple(name for name, of_torch in asked.items() if getattr(torch.cpu, of_torch, bool)())


def has_fast_int8() -> bool:
    """Whether this CPU has such instructions; without them int8 is slow, and products may be cut off at 16 bits."""
    return bool(int8_instructions())
