"""How much fp32 logits may differ: a limit for each backend and provider, with defaults from the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from sskt_edge.catalogue.backends import fp32_differences
from sskt_edge.common.errors import nearest


def _complete(given: object) -> object:
    """The given limits, completed by those of the catalogue."""
    return {**fp32_differences(), **given} if isinstance(given, Mapping) else given


def _known(limits: dict[str, float]) -> dict[str, float]:
    known = fp32_differences()
    for name in limits:
        if name not in known:
            raise ValueError(f"unknown key '{name}'. {nearest(name, known)}Known: {', '.join(known)}")
    return limits


@dataclass(frozen=True)
class _ByCatalogue:
    """Puts each key with its limit into the JSON schema."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The schema of an object with exactly these keys."""
        keys = {
            name: {"type": "number", "exclusiveMinimum": 0, "default": limit}
            for name, limit in fp32_differences().items()
        }
        return {"type": "object", "properties": keys, "additionalProperties": False}


Fp32Difference = Annotated[
    dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]],
    BeforeValidator(_complete),
    AfterValidator(_known),
    _ByCatalogue(),
]
"""Backend and provider, such as "onnxruntime_cpu" → the largest difference of a logit, as a share of the largest logit,
or of 1 if that is larger. A key that is left out has the catalogue's limit."""
