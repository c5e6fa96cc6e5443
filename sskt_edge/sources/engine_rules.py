"""Which engines a recipe allows, and how close to the reference their answers must be."""

from __future__ import annotations

from dataclasses import dataclass, field

from sskt_edge.recipe.models import GateOptions
from sskt_edge.sources.engines import SourceEngine
from sskt_edge.sources.fill_record import GateRecord


@dataclass(frozen=True)
class EngineRules:
    """A recipe's rules for the engines of its sources.

    Attributes:
        backend: the only library that is allowed, or "auto".
        precision: the only precision that is allowed, or "auto".
        gate: how far an engine's answers may be from the reference's.
    """

    backend: str = "auto"
    precision: str = "auto"
    gate: GateOptions = field(default_factory=GateOptions)

    @property
    def allow_all(self) -> bool:
        """Whether every engine is allowed."""
        return self.backend == self.precision == "auto"

    def allow(self, engine: SourceEngine) -> bool:
        """Whether an engine is allowed, provided that it passes the gate."""
        return self.backend in ("auto", engine.backend) and self.precision in ("auto", engine.precision)

    def accept(self, record: GateRecord) -> bool:
        """Whether an engine with this record would pass the gate of this recipe."""
        return (
            record.kl <= self.gate.kl
            and record.agreement >= self.gate.agreement
            and record.near_tie >= self.gate.near_tie
        )
