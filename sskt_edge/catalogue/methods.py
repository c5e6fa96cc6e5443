"""What a target can learn from what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sskt_edge.catalogue.entry import Entry, loaded

if TYPE_CHECKING:
    from pydantic import BaseModel


@dataclass(frozen=True)
class MethodEntry(Entry):
    """A method; its code is a function that gives a `methods.learner.Learner`, see there for its arguments.

    Attributes:
        options: where the model of its table is, a `recipe.method.MethodOptions`; nothing heavy is imported for it.
    """

    options: str = ""

    def options_model(self) -> type[BaseModel]:
        """The model of the recipe's [method] table."""
        model: type[BaseModel] = loaded(self.options)
        return model


METHODS: dict[str, MethodEntry] = {
    entry.name: entry
    for entry in (
        MethodEntry(
            "sskt",
            "branches of the target learn to repeat what the sources say of every view",
            "sskt_edge.methods.sskt.learner:sskt_learner",
            options="sskt_edge.methods.sskt.options:SsktOptions",
        ),
        MethodEntry(
            "scratch",
            "the same training without sources, to compare with",
            "sskt_edge.methods.scratch.learner:scratch_learner",
            options="sskt_edge.methods.scratch.options:ScratchOptions",
        ),
    )
}
