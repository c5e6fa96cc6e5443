"""What a recipe may say of a training from scratch."""

from __future__ import annotations

from typing import ClassVar, Literal

from sskt_edge.recipe.method import MethodOptions


class ScratchOptions(MethodOptions):
    """The task's loss alone."""

    asks_sources: ClassVar[bool] = False

    name: Literal["scratch"] = "scratch"
