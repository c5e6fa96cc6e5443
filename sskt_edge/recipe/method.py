"""What the tables of all methods have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from sskt_edge.catalogue.methods import METHODS
from sskt_edge.recipe.part import Part
from sskt_edge.tasks.task import Task


class MethodOptions(Part):
    """The table [method]; each method adds its keys in a model of its own.

    Attributes:
        asks_sources: whether the method learns from sources, so that a recipe needs at least one.
        fits_probe: whether a probe is fitted on the stored labels, and its logits are among the soft labels.
        own_terms: the names of its loss terms that are not those of sources.
    """

    asks_sources: ClassVar[bool] = True
    fits_probe: ClassVar[bool] = False
    own_terms: ClassVar[tuple[str, ...]] = ()

    name: str

    @staticmethod
    def of(name: str) -> MethodOptions:
        """A method's table with every default."""
        options = METHODS[name].options_model()()
        assert isinstance(options, MethodOptions)
        return options

    def check_sources(self, names: Sequence[str]) -> None:
        """Check the names of a recipe's sources.

        Raises:
            ValueError: a source has the name of a loss term, or one that shall take part does not exist.
        """
        reserved = ("primary", "total", "correct", *self.own_terms)
        if set(reserved) & set(names):
            *some, last = (f"'{name}'" for name in reserved)
            raise ValueError(f"sources: {', '.join(some)} and {last} are reserved names; rename the source")
        for name in self.taking_part or ():
            if name not in names:
                raise ValueError(f"method.sources: unknown source '{name}'; sources: {list(names)}")

    def check_task(self, task: Task) -> None:
        """Check that the options fit the task; by default every method works with every task.

        Raises:
            ValueError: they do not.
        """

    def check_labels(self, store: str | Literal[False], top_k: int) -> None:
        """Check what a recipe's [labels] keeps; by default every method takes all of it.

        Raises:
            ValueError: the method needs more.
        """

    @property
    def taking_part(self) -> tuple[str, ...] | None:
        """The names of the sources that take part; None for all."""
        return None

    @property
    def reads_logits(self) -> bool:
        """Whether the target learns the sources' logits themselves, in the sources' own classes."""
        return self.asks_sources

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
