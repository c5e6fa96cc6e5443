"""Which engines a recipe allows, and how close to the reference their answers must be."""

from __future__ import annotations

from dataclasses import dataclass, field

from sskt_edge.sources.engines import SourceEngine
from sskt_edge.sources.judge import Judge, LogitsJudge


@dataclass(frozen=True)
class EngineRules:
    """A recipe's rules for the engines of its sources.

    Attributes:
        backend: the only library that is allowed, or "auto".
        precision: the only precision that is allowed, or "auto".
        judge: how far an engine's answers may be from the reference's.
    """

    backend: str = "auto"
    precision: str = "auto"
    judge: Judge = field(default_factory=LogitsJudge)

    @property
    def allow_all(self) -> bool:
        """Whether every engine is allowed."""
        return self.backend == self.precision == "auto"

    def allow(self, engine: SourceEngine) -> bool:
        """Whether an engine is allowed, provided that it passes the gate.

        "auto" leaves out int8 where logits are judged: it is several times as far from them as the defaults allow.
        """
        if self.precision == "auto" and engine.precision == "int8" and self.judge.by.judge == "logits":
            return False
        return self.backend in ("auto", engine.backend) and self.precision in ("auto", engine.precision)
