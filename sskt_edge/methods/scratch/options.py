"""The recipe's options for a training from scratch."""

from __future__ import annotations

from typing import ClassVar, Literal

from sskt_edge.recipe.method import MethodOptions


class ScratchOptions(MethodOptions):
    """Only the task's loss is used."""

    asks_sources: ClassVar[bool] = False

    name: Literal["scratch"] = "scratch"
