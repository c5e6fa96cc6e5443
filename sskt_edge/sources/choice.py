"""Which engine asks a source: one whose labels the store has already, else the fastest that passes the gate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sskt_edge.errors import ParityError, RecipeError
from sskt_edge.recipe.models import Labels
from sskt_edge.runtime.machine import version_of
from sskt_edge.runtime.progress import Progress
from sskt_edge.sources.ask import view_batch
from sskt_edge.sources.engines import Engine, engine_facts
from sskt_edge.sources.gate import Verdict, try_engines
from sskt_edge.sources.source import Source
from sskt_edge.sources.store.collection import Collection
from sskt_edge.sources.store.store import LabelStore
from sskt_edge.sources.wanted import Wanted

# So many views hold an engine against torch: fewer would leave the share of equal classes to chance.
GATE_VIEWS = 256
# Changes with how views are cut and resized before a source sees them.
_CUT_VERSION = 1


@dataclass(frozen=True)
class Question:
    """A source, and the views that it is to be asked about.

    Attributes:
        source: who is asked.
        side: of the squares that it sees.
        see: "native" or "upsampled".
        wanted: the labelled images' views, and the unlabelled ones' if there are any.
        device: where torch runs.
    """

    source: Source
    side: int
    see: str
    wanted: tuple[Wanted, ...]
    device: torch.device

    def facts(self, engine: Engine) -> dict[str, Any]:
        """All that a label depends on beside the image's content and the view."""
        plan = self.wanted[0].plan
        return {
            "model": self.source.facts["model"],
            "source": dict(self.source.facts),
            "engine": engine_facts(engine, self.device),
            "sees": {"how": self.see, "square": self.side, "view_side": plan.policy.side, "cut": _CUT_VERSION},
            "batch": plan.batch_size,
            "pillow": version_of("pillow"),
        }

    def collection(self, store: LabelStore, engine: Engine, top_k: int) -> Collection:
        """Where the store keeps what this engine says."""
        return store.collection(self.facts(engine), self.source.classes, top_k)

    def missing(self, collection: Collection) -> int:
        """How many views are not in the collection yet, each counted once."""
        return sum(int(collection.missing(wanted.keys[wanted.distinct]).sum()) for wanted in self.wanted)

    @property
    def views(self) -> int:
        """How many different views there are."""
        return sum(len(wanted.distinct) for wanted in self.wanted)

    def sample(self) -> list[NDArray[np.uint8]]:
        """Real views for the gate, evenly from all that are wanted, in full batches of uint8 [batch,side,side,3]."""
        wanted, size = self.wanted[0], self.wanted[0].plan.batch_size
        count = -(-min(GATE_VIEWS, len(wanted.distinct)) // size) * size
        spread = np.linspace(0, len(wanted.distinct) - 1, min(count, len(wanted.distinct))).astype(np.intp)
        places = np.resize(wanted.distinct[spread], count)
        return [view_batch(self.side, wanted, places[at : at + size]) for at in range(0, count, size)]


@dataclass(frozen=True)
class Choice:
    """By which engine a source is asked.

    Attributes:
        engine: what runs it.
        why: the reason.
        verdicts: of the engines that were measured for it; empty if none was.
    """

    engine: Engine
    why: str
    verdicts: tuple[Verdict, ...] = ()

    @property
    def verdict(self) -> Verdict | None:
        """Of the chosen engine, if it was measured."""
        return next((verdict for verdict in self.verdicts if verdict.engine == self.engine), None)


def choose(
    question: Question,
    labels: Labels,
    store: LabelStore | None,
    pinned: str | None,
    progress: Progress,
    between: Callable[[], None],
) -> Choice:
    """Choose the engine of a source.

    Args:
        question: what is asked.
        labels: the recipe's part: which engines may be taken, and the gate's limits.
        store: what is known already.
        pinned: the name of the engine that a training was started with; no other is taken then.
        progress: shows the trial.
        between: called before each batch.

    Raises:
        RecipeError: no engine that the recipe allows is there.
        ParityError: those that the recipe allows are refused by the gate.
    """
    allowed = allowed_engines(question.source, labels, pinned)
    if pinned:
        return Choice(allowed[0], "as the run began")
    if store is not None:
        kept = kept_choice(question, labels, store, allowed)
        if kept is not None:
            return kept
    if allowed[0] == question.source.engines()[0]:
        if len(allowed) == 1:
            return Choice(allowed[0], "no other is to be had here")
        if question.views <= GATE_VIEWS:
            return Choice(allowed[0], "too few views to try others for")
    return fastest_choice(question, labels, measure(question, allowed, labels, progress, between), allowed)


def kept_choice(question: Question, labels: Labels, store: LabelStore, allowed: Sequence[Engine]) -> Choice | None:
    """The engine that has answered the most of the question already, if any has."""
    fewest, best = question.views, None
    for engine in allowed:
        collection = question.collection(store, engine, labels.top_k)
        missing = question.missing(collection)
        if missing < fewest and _has_passed(collection, labels):
            fewest, best = missing, engine
    if best is None:
        return None
    return Choice(best, "the store has its labels" if fewest == 0 else "the store has a part of its labels")


def allowed_engines(source: Source, labels: Labels, pinned: str | None = None) -> tuple[Engine, ...]:
    """The engines that are there and that the recipe allows, the reference first if it is one of them.

    Raises:
        RecipeError: there is none.
    """
    there = source.engines()
    allowed = tuple(
        engine
        for engine in there
        if pinned in (None, engine.name)
        and (pinned or labels.engine in ("auto", engine.backend))
        and (pinned or labels.precision in ("auto", engine.precision))
    )
    if not allowed:
        asked = pinned or f"labels.engine = '{labels.engine}', labels.precision = '{labels.precision}'"
        raise RecipeError(
            f"Source '{source.name}' cannot be served by {asked} here. There are: "
            f"{', '.join(engine.name for engine in there)}. sskt-edge doctor says how to get others."
        )
    return allowed


def measure(
    question: Question,
    engines: Sequence[Engine],
    labels: Labels,
    progress: Progress,
    between: Callable[[], None],
) -> list[Verdict]:
    """Speed of the reference and of `engines` on real views, and what the gate says of each."""
    reference = question.source.engines()[0]
    tried = [reference, *(engine for engine in engines if engine != reference)]
    limits = (labels.gate.kl, labels.gate.agreement)
    return try_engines(question.source, tried, question.side, question.sample(), limits, progress, between)


def fastest_choice(
    question: Question, labels: Labels, verdicts: Sequence[Verdict], allowed: Sequence[Engine]
) -> Choice:
    """The fastest of the allowed engines that passed.

    Raises:
        ParityError: none did.
    """
    passed = [verdict for verdict in verdicts if verdict.passed and verdict.engine in allowed]
    if not passed:
        raise ParityError(_refused(question.source.name, verdicts, labels))
    fastest = max(passed, key=lambda verdict: verdict.images_per_second)
    return Choice(fastest.engine, _compared(fastest, verdicts), tuple(verdicts))


def _has_passed(collection: Collection, labels: Labels) -> bool:
    """Whether the engine that filled a collection passed the gate then, by the limits of now; the reference always."""
    gates: list[Mapping[str, float]] = [fill["gate"] for fill in collection.fills if fill.get("gate")]
    return all(gate["kl"] <= labels.gate.kl and gate["agreement"] >= labels.gate.agreement for gate in gates)


def _compared(fastest: Verdict, verdicts: Sequence[Verdict]) -> str:
    reference = verdicts[0]
    if fastest.engine == reference.engine:
        return f"the fastest that passes the gate, {fastest.images_per_second:.0f} images/s"
    faster = fastest.images_per_second / reference.images_per_second
    return (
        f"the fastest that passes the gate: {fastest.images_per_second:.0f} images/s, {faster:.1f} × "
        f"{reference.engine.name}; KL {fastest.kl:.4f}, {fastest.agreement:.1%} same class"
    )


def _refused(name: str, verdicts: Sequence[Verdict], labels: Labels) -> str:
    told = "; ".join(f"{verdict.engine.name}: {verdict.why}" for verdict in verdicts[1:])
    return (
        f"Source '{name}': no engine that the recipe allows passes the gate (KL at most {labels.gate.kl:g}, same class "
        f"at least {labels.gate.agreement:.1%}). {told}. Set labels.engine = 'auto', or widen labels.gate."
    )
