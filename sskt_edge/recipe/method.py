"""What the tables of all methods have in common."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from sskt_edge.catalogue.methods import METHODS
from sskt_edge.recipe.part import Part


class MethodOptions(Part):
    """The table [method]; each method adds its keys in a model of its own.

    Attributes:
        asks_sources: whether the method learns from sources, so that a recipe needs at least one.
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
        """The temperature T of the softmax at which soft labels are used and labels.top_k is judged."""
        return 1.0


class SourceMethodOptions(MethodOptions):
    """The table of a method that learns from sources."""

    sources: tuple[str, ...] | None = Field(None, description="names of the sources that take part; all by default")

    @property
    def taking_part(self) -> tuple[str, ...] | None:
        """The names of the sources that take part; None for all."""
        return self.sources
