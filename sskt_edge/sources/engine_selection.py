"""Which engine asks a source: one whose labels the store has already, else the fastest that passes the gate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sskt_edge.common.errors import InputError, ParityError, RecipeError, RunError
from sskt_edge.common.progress import Progress
from sskt_edge.recipe.models import LabelOptions
from sskt_edge.sources.engines import ENGINES, SourceEngine, engine_facts
from sskt_edge.sources.fill_record import fill_records
from sskt_edge.sources.gate import GateVerdict, try_engines
from sskt_edge.sources.label_query import GATE_VIEWS, LabelQuery
from sskt_edge.sources.source import Source
from sskt_edge.sources.store.collection import Collection
from sskt_edge.sources.store.store import LabelStore
from sskt_edge.sources.stored_engine import (
    MOST_UNJUDGED,
    complete_of_absent_engine,
    is_meant,
    may_be_kept,
    stored_engine,
)

# A trial takes the time of about half as many views by the reference; it should not take longer than what it saves.
_FEW = MOST_UNJUDGED
# Measuring how long they take would take as long as this many batches.
_SHORT = 2
# Another engine must be done this many times sooner than one with a part of the labels: trial speeds are noisy.
_CLEARLY = 1.25


@dataclass(frozen=True)
class Choice:
    """By which engine a source is asked.

    Attributes:
        engine: what runs it.
        why: the reason.
        verdicts: of the engines that were measured for it; empty if none was.
        images_per_second: its speed, if that was measured.
        stored: its labels, where it cannot run here and the store has all of them.
    """

    engine: SourceEngine
    why: str
    verdicts: tuple[GateVerdict, ...] = ()
    images_per_second: float | None = None
    stored: Collection | None = None

    @property
    def verdict(self) -> GateVerdict | None:
        """Of the chosen engine, if it was measured."""
        return next((verdict for verdict in self.verdicts if verdict.engine == self.engine), None)


def choose(
    question: LabelQuery,
    labels: LabelOptions,
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
        InputError: no engine that the recipe allows, or that the training was started with, is there.
        ParityError: those that the recipe allows are refused by the gate.
    """
    if pinned:
        return _as_the_run_began(question, labels, store, pinned, progress, between)
    allowed = allowed_engines(question, labels)
    without = choice_without_trial(question, labels, store, allowed)
    if without is not None:
        return _timed(without, question, labels, store, progress, between)
    are = "is" if len(allowed) == 1 else "are"
    progress.say(
        f"{question.source.name}: up to {question.views:,} views to ask; {_names(allowed)} {are} tried on "
        f"{GATE_VIEWS} of them first"
    )
    return fastest_choice(question, labels, measure(question, allowed, labels, progress, between), allowed, store)


def _as_the_run_began(
    question: LabelQuery,
    labels: LabelOptions,
    store: LabelStore | None,
    pinned: str,
    progress: Progress,
    between: Callable[[], None],
) -> Choice:
    """The engine of a resumed run; it is judged again where it has more to ask, perhaps on another machine."""
    why = "as the run began"
    absent = None if store is None else complete_of_absent_engine(question, labels, store)
    if absent is not None and absent.engine.name == pinned:
        return Choice(absent.engine, why, stored=absent.collection)
    engine = _pinned_engine(question.source, pinned)
    if engine == question.source.engines()[0]:
        return Choice(engine, why)
    if store is not None:
        collection = question.collection(store, engine, labels.top_k)
        if question.missing(collection) == 0 or may_be_kept(collection, question, engine, labels):
            return Choice(engine, why)
    return replace(
        fastest_choice(question, labels, measure(question, [engine], labels, progress, between), [engine]), why=why
    )


def _timed(
    choice: Choice,
    question: LabelQuery,
    labels: LabelOptions,
    store: LabelStore | None,
    progress: Progress,
    between: Callable[[], None],
) -> Choice:
    """The choice with its speed, measured on one batch, if much is to be stored and its speed is unknown.

    The gate has not judged the engine by that, so no verdict is kept.
    """
    if store is None or choice.stored is not None:
        return choice
    collection = question.collection(store, choice.engine, labels.top_k)
    is_known = any(told.images_per_second for told in fill_records(collection))
    if is_known or question.missing(collection) <= _SHORT * labels.batch_size:
        return choice
    batch = question.sample()[:1]
    (verdict,) = try_engines(question.source, [choice.engine], question.side, batch, labels.gate, progress, between)
    return replace(choice, images_per_second=verdict.images_per_second or None)


def choice_without_trial(
    question: LabelQuery, labels: LabelOptions, store: LabelStore | None, allowed: Sequence[SourceEngine]
) -> Choice | None:
    """The engine that needs no trial: the store has its labels, it is the only one, or little is left to ask."""
    kept = None if store is None else stored_engine(question, labels, store, allowed)
    if kept is not None:
        why = "the store has a part of its labels" if kept.missing else "the store has its labels"
        return Choice(kept.engine, why, stored=None if kept.engine in allowed else kept.collection)
    if allowed[0] == question.source.engines()[0]:
        if len(allowed) == 1:
            free = labels.engine == labels.precision == "auto"
            return Choice(allowed[0], "the only engine here" if free else "as the recipe says")
        if question.views <= _FEW:
            return Choice(allowed[0], "too few views to try others for")
    return None


def allowed_engines(question: LabelQuery, labels: LabelOptions) -> tuple[SourceEngine, ...]:
    """The engines that are there and that the recipe allows, the reference first if it is one of them.

    Raises:
        MissingExtraError: the recipe names a library that is not installed.
        NetworkError: it names a precision that this machine has not.
        RecipeError: there is none for another reason.
    """
    allowed = tuple(engine for engine in question.source.engines() if is_meant(engine, labels))
    if not allowed:
        raise _no_engine(question, labels, [engine for engine in ENGINES.values() if is_meant(engine, labels)])
    return allowed


def _no_engine(question: LabelQuery, labels: LabelOptions, meant: Sequence[SourceEngine]) -> InputError:
    """Why none of the engines that the recipe means is there."""
    reasons: list[InputError] = []
    for engine in meant:
        try:
            engine_facts(engine, question.device)
        except InputError as error:  # not installed, or not in this precision
            reasons.append(error)
    if meant and len(reasons) == len(meant):
        return reasons[0]
    return RecipeError(
        f"Source '{question.source.name}' cannot be asked with labels.engine = '{labels.engine}' and "
        f"labels.precision = '{labels.precision}' here. Its engines are {_names(question.source.engines())}. Set one "
        f"of the two keys to 'auto'."
    )


def _pinned_engine(source: Source, name: str) -> SourceEngine:
    """The engine of this name.

    Raises:
        RunError: it is not there any more.
    """
    there = source.engines()
    for engine in there:
        if engine.name == name:
            return engine
    raise RunError(
        f"The run asked source '{source.name}' by {name}, but this machine has only {_names(there)}. Install it again "
        f"(sskt-edge doctor says how), or start a new run without --resume."
    )


def measure(
    question: LabelQuery,
    engines: Sequence[SourceEngine],
    labels: LabelOptions,
    progress: Progress,
    between: Callable[[], None],
) -> list[GateVerdict]:
    """Speed of the reference and of `engines` on real views, and what the gate says of each."""
    reference = question.source.engines()[0]
    tried = [reference, *(engine for engine in engines if engine != reference)]
    return try_engines(question.source, tried, question.side, question.sample(), labels.gate, progress, between)


def fastest_choice(
    question: LabelQuery,
    labels: LabelOptions,
    verdicts: Sequence[GateVerdict],
    allowed: Sequence[SourceEngine],
    store: LabelStore | None = None,
) -> Choice:
    """The fastest of the allowed engines that passed; one that has a part of the labels if no other is clearly sooner.

    Raises:
        ParityError: none did.
    """
    passed = [verdict for verdict in verdicts if verdict.passed and verdict.engine in allowed]
    if not passed:
        raise ParityError(_refused(question.source.name, verdicts, labels))
    fastest = max(passed, key=lambda verdict: verdict.images_per_second)
    if store is not None:
        missing = {v.engine: question.missing(question.collection(store, v.engine, labels.top_k)) for v in passed}
        started = [verdict for verdict in passed if missing[verdict.engine] < question.views]
        seconds = {verdict.engine: missing[verdict.engine] / verdict.images_per_second for verdict in passed}
        first = min(started, key=lambda verdict: seconds[verdict.engine], default=fastest)
        if first != fastest and seconds[first.engine] <= _CLEARLY * seconds[fastest.engine]:
            why = "the store has a part of its labels, and no engine would be clearly sooner"
            return Choice(first.engine, why, tuple(verdicts), first.images_per_second)
    return Choice(fastest.engine, _compared(fastest, verdicts), tuple(verdicts), fastest.images_per_second)


def _compared(fastest: GateVerdict, verdicts: Sequence[GateVerdict]) -> str:
    reference = verdicts[0]
    if fastest.engine == reference.engine:
        return f"the fastest that passes the gate, {fastest.images_per_second:.0f} images/s"
    faster = fastest.images_per_second / reference.images_per_second
    return (
        f"the fastest that passes the gate: {fastest.images_per_second:.0f} images/s, {faster:.1f} × "
        f"{reference.engine.name}; KL {fastest.kl:.4f}, {fastest.agreement:.1%} agree"
    )


def _refused(name: str, verdicts: Sequence[GateVerdict], labels: LabelOptions) -> str:
    told = "; ".join(f"{verdict.engine.name}: {verdict.why}" for verdict in verdicts if not verdict.passed)
    return (
        f"Source '{name}': no engine that the recipe allows passes the gate (KL at most {labels.gate.kl:g}, agreement "
        f"at least {labels.gate.agreement:.1%}). {told}. Set labels.engine and labels.precision to 'auto', or widen "
        f"labels.gate."
    )


def _names(engines: Sequence[SourceEngine]) -> str:
    return ", ".join(engine.name for engine in engines)
