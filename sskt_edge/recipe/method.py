"""What every method's table has."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from sskt_edge.catalogue.methods import METHODS
from sskt_edge.recipe.part import Part


class MethodOptions(Part):
    """The table [method]; each method has a model of its own, which adds its keys.

    Attributes:
        asks_sources: the method learns from what sources say, so that a recipe needs at least one.
    """

    asks_sources: ClassVar[bool] = True

    name: str

    @staticmethod
    def of(name: str) -> MethodOptions:
        """A method's table with every default."""
        options = METHODS[name].options_model()()
        assert isinstance(options, MethodOptions)
        return options

    @property
    def taking_part(self) -> tuple[str, ...] | None:
        """The names of the sources that take part; None for all."""
        return None

    @property
    def label_temperature(self) -> float:
        """T of the softmax at which soft labels are used, and labels.top_k is judged."""
        return 1.0


class SourceMethodOptions(MethodOptions):
    """The table of a method that learns from sources."""

    sources: tuple[str, ...] | None = Field(None, description="names of the sources that take part; all if left out")

    @property
    def taking_part(self) -> tuple[str, ...] | None:
        """The names of the sources that take part; None for all."""
        return self.sources
