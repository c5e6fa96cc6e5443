"""The number formats that a forward pass computes in."""

from __future__ import annotations

from typing import Literal

Precision = Literal["fp32", "bf16", "fp16"]
SourcePrecision = Literal["fp32", "bf16", "fp16", "int8"]
"""Those of a source's engine; in int8 the layers between the ends are quantised."""
