"""Which engines a recipe allows, and how near to the reference they must come."""

from __future__ import annotations

from dataclasses import dataclass, field

from sskt_edge.recipe.models import GateOptions
from sskt_edge.sources.engines import SourceEngine
from sskt_edge.sources.fill_record import GateRecord


@dataclass(frozen=True)
class EngineRules:
    """What a recipe says of the engines of its sources.

    Attributes:
        backend: the only library that may be taken, or "auto".
        precision: the only precision that may be taken, or "auto".
        gate: how far an engine may be from the reference.
    """

    backend: str = "auto"
    precision: str = "auto"
    gate: GateOptions = field(default_factory=GateOptions)

    @property
    def allow_all(self) -> bool:
        """Whether every engine may be taken."""
        return self.backend == self.precision == "auto"

    def allow(self, engine: SourceEngine) -> bool:
        """Whether an engine may be taken, if it passes the gate."""
        return self.backend in ("auto", engine.backend) and self.precision in ("auto", engine.precision)

    def accept(self, record: GateRecord) -> bool:
        """Whether an engine of which the gate found this would pass it now."""
        return (
            record.kl <= self.gate.kl
            and record.agreement >= self.gate.agreement
            and record.near_tie >= self.gate.near_tie
        )
