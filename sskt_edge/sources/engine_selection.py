"""Select the engine of a source: one whose labels are stored already, else the fastest that passes the gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sskt_edge.common.errors import InputError, ParityError, RecipeError, RunError
from sskt_edge.common.progress import Progress
from sskt_edge.sources.engine_rules import EngineRules
from sskt_edge.sources.engines import ENGINES, SourceEngine, engine_facts
from sskt_edge.sources.fill_record import fill_records
from sskt_edge.sources.gate import GateVerdict, IsEnough, speed_of_engine, try_engines
from sskt_edge.sources.label_query import GATE_VIEWS, LabelQuery
from sskt_edge.sources.store.collection import Collection
from sskt_edge.sources.store.store import LabelStore
from sskt_edge.sources.stored_engines import MOST_UNJUDGED, StoredEngines

# With at most this many views to query, the reference queries them, and no other engine is tried: trials take about as
# long as the reference does for half of these views, so hardly any time could be saved.
_FEW = MOST_UNJUDGED
# Measuring the speed takes as long as this many batches.
_SHORT = 2
# Another engine must finish this many times sooner than one that has part of the labels, since trial speeds are noisy.
_CLEARLY = 1.25


@dataclass(frozen=True)
class EngineChoice:
    """The engine that a source is queried with.

    Attributes:
        engine: the engine that runs the source.
        why: the reason for the choice.
        verdicts: the verdicts on the engines that were measured; empty if none was.
        images_per_second: its speed, if it was measured.
        stored: its labels, if it cannot run here but the store has all of them.
    """

    engine: SourceEngine
    why: str
    verdicts: tuple[GateVerdict, ...] = ()
    images_per_second: float | None = None
    stored: Collection | None = None

    @property
    def verdict(self) -> GateVerdict | None:
        """The verdict on the chosen engine, if it was measured."""
        return next((verdict for verdict in self.verdicts if verdict.engine == self.engine), None)


class EngineSelector:
    """Chooses the engine that a source is queried with.

    Args:
        query: the source and its views.
        rules: which engines the recipe allows, and the gate's limits.
        store: the store of labels; None if labels are not kept.
        progress: shows the trials.
    """

    def __init__(self, query: LabelQuery, rules: EngineRules, store: LabelStore | None, progress: Progress) -> None:
        self._query, self._rules, self._store, self._progress = query, rules, store, progress
        self._stored = None if store is None else StoredEngines(query, rules, store)

    def choose(self, pinned: str | None = None) -> EngineChoice:
        """Choose the engine.

        Args:
            pinned: the name of the engine that a training was started with; then only that one is used.

        Raises:
            InputError: no engine that the recipe allows, or that the training was started with, runs here.
            ParityError: all engines that the recipe allows are refused by the gate.
        """
        if pinned:
            return self._as_the_run_began(pinned)
        allowed = self._allowed()
        without = self._without_trial(allowed)
        if without is not None:
            return self._timed(without)
        are = "is" if len(allowed) == 1 else "are"
        self._progress.say(
            f"{self._query.source.name}: up to {self._query.views:,} views to query; {_names(allowed)} {are} tried on "
            f"{GATE_VIEWS} of them first"
        )
        return self.fastest(self._try_while_it_pays(allowed), allowed)

    def survey(self) -> EngineChoice:
        """The choice that `choose` would make, with a verdict on every engine that the recipe allows.

        Raises:
            InputError, ParityError: as for choose.
        """
        allowed = self._allowed()
        verdicts = self._try(allowed)
        choice = self._without_trial(allowed)
        runs = [verdict.engine for verdict in verdicts if verdict.images_per_second > 0]
        if choice is None or (choice.engine not in runs and choice.stored is None):
            choice = self.fastest(self._tried_by_choose(verdicts, allowed), allowed)
        return replace(choice, verdicts=tuple(verdicts))

    def fastest(self, verdicts: Sequence[GateVerdict], allowed: Sequence[SourceEngine]) -> EngineChoice:
        """The fastest engine that passed, or one that has part of the labels if no other would be clearly faster.

        Args:
            verdicts: the verdicts, that of the reference first.
            allowed: the engines that are allowed.

        Raises:
            ParityError: none passed.
        """
        passed = [verdict for verdict in verdicts if verdict.passed and verdict.engine in allowed]
        if not passed:
            raise ParityError(self._refused(verdicts))
        fastest = max(passed, key=lambda verdict: verdict.images_per_second)
        if self._store is not None:
            missing = {v.engine: self._query.missing(self._query.collection(self._store, v.engine)) for v in passed}
            seconds = {v.engine: missing[v.engine] / v.images_per_second for v in passed}
            started = [verdict for verdict in passed if missing[verdict.engine] < self._query.views]
            first = min(started, key=lambda verdict: seconds[verdict.engine], default=fastest)
            if first != fastest and seconds[first.engine] <= _CLEARLY * seconds[fastest.engine]:
                why = "the store has part of its labels, and no engine would be clearly faster"
                return EngineChoice(first.engine, why, tuple(verdicts), first.images_per_second)
        return EngineChoice(fastest.engine, _compared(fastest, verdicts), tuple(verdicts), fastest.images_per_second)

    def _as_the_run_began(self, pinned: str) -> EngineChoice:
        """The engine of a resumed run. If more is to be queried, it is judged again: the machine may be another one."""
        query, why = self._query, "as the run began"
        absent = None if self._stored is None else self._stored.absent()
        if absent is not None and absent.engine.name == pinned:
            return EngineChoice(absent.engine, why, stored=absent.collection)
        engine = self._pinned_engine(pinned)
        if engine == query.source.engines()[0]:
            return EngineChoice(engine, why)
        if self._store is not None and self._stored is not None:
            collection = query.collection(self._store, engine)
            if query.missing(collection) == 0 or self._stored.may_be_kept(engine, collection):
                return EngineChoice(engine, why)
        return replace(self.fastest(self._try([engine]), [engine]), why=why)

    def _without_trial(self, allowed: Sequence[SourceEngine]) -> EngineChoice | None:
        """An engine that needs no trial: the store has its labels, it is the only one, or little is left to query."""
        stored = None if self._stored is None else self._stored.best(allowed)
        if stored is not None:
            why = "the store has part of its labels" if stored.missing else "the store has its labels"
            return EngineChoice(stored.engine, why, stored=None if stored.engine in allowed else stored.collection)
        if allowed[0] == self._query.source.engines()[0]:
            if len(allowed) == 1:
                return EngineChoice(
                    allowed[0], "the only engine here" if self._rules.allow_all else "as the recipe says"
                )
            if self._query.views <= _FEW:
                return EngineChoice(allowed[0], "too few views for trials of others")
        return None

    def _timed(self, choice: EngineChoice) -> EngineChoice:
        """Measure the speed of the chosen engine on one batch, if it is unknown and many labels are to be stored.

        This is not a judgement by the gate, so no verdict is kept.
        """
        query = self._query
        if self._store is None or choice.stored is not None:
            return choice
        collection = query.collection(self._store, choice.engine)
        is_known = any(record.images_per_second for record in fill_records(collection))
        if is_known or query.missing(collection) <= _SHORT * query.batch_size:
            return choice
        one_batch = query.sample()[:1]
        speed = speed_of_engine(query.source.name, query.open, choice.engine, one_batch, self._progress)
        return replace(choice, images_per_second=speed)

    def _try_while_it_pays(self, engines: Sequence[SourceEngine]) -> list[GateVerdict]:
        """Try the reference and `engines`, until another one could not save the time that the trials have taken."""
        verdicts = self._try(engines, lambda known: trials_suffice(known, engines, self._query.views))
        tried = {verdict.engine for verdict in verdicts}
        left = [engine for engine in engines if engine not in tried]
        if left:
            are = "is" if len(left) == 1 else "are"
            self._progress.say(
                f"{self._query.source.name}: {_names(left)} {are} not tried, since the labels take no longer than the "
                f"trials so far"
            )
        return verdicts

    def _tried_by_choose(
        self, verdicts: Sequence[GateVerdict], allowed: Sequence[SourceEngine]
    ) -> Sequence[GateVerdict]:
        """Those of the verdicts on all engines that `choose` would wait for."""
        firsts = (verdicts[:count] for count in range(1, len(verdicts) + 1))
        return next((known for known in firsts if trials_suffice(known, allowed, self._query.views)), verdicts)

    def _try(self, engines: Sequence[SourceEngine], is_enough: IsEnough | None = None) -> list[GateVerdict]:
        """Try the reference and `engines` on real views. Returns their verdicts, with speeds."""
        query, judge = self._query, self._rules.judge
        reference = query.source.engines()[0]
        tried = [reference, *(engine for engine in engines if engine != reference)]
        if judge.remark:
            self._progress.say(f"{query.source.name}: {judge.remark}")
        return try_engines(query.source.name, query.open, tried, query.sample(), judge, self._progress, is_enough)

    def _pinned_engine(self, name: str) -> SourceEngine:
        """The engine of this name.

        Raises:
            RunError: it no longer runs here.
        """
        engines = self._query.engines()
        for engine in engines:
            if engine.name == name:
                return engine
        raise RunError(
            f"The run used {name} for source '{self._query.source.name}', but this machine has only {_names(engines)}. "
            f"Install it again (sskt-edge doctor says how), or start a new run without --resume."
        )

    def _allowed(self) -> tuple[SourceEngine, ...]:
        """The engines that run here and that the recipe allows, the reference first if it is one of them.

        Raises:
            MissingExtraError: the recipe names a library that is not installed.
            NetworkError: the recipe names a precision that this machine does not support.
            RecipeError: no engine is allowed for another reason.
        """
        allowed = tuple(filter(self._rules.allow, self._query.engines()))
        if not allowed:
            raise self._no_engine()
        return allowed

    def _no_engine(self) -> InputError:
        """The error for a recipe that allows none of the engines here."""
        allowed = [engine for engine in ENGINES.values() if self._rules.allow(engine)]
        reasons: list[InputError] = []
        for engine in allowed:
            try:
                engine_facts(engine, self._query.device)
            except InputError as error:  # it is not installed, or does not support this precision
                reasons.append(error)
        if allowed and len(reasons) == len(allowed):
            return reasons[0]
        source, rules = self._query.source, self._rules
        return RecipeError(
            f"Source '{source.name}' cannot be queried with labels.engine = '{rules.backend}' and "
            f"labels.precision = '{rules.precision}' here. Its engines are {_names(self._query.engines())}. Set one "
            f"of the two keys to 'auto'."
        )

    def _refused(self, verdicts: Sequence[GateVerdict]) -> str:
        reasons = "; ".join(f"{verdict.engine.name}: {verdict.why}" for verdict in verdicts if not verdict.passed)
        return (
            f"Source '{self._query.source.name}': no engine that the recipe allows passes the gate "
            f"({self._rules.judge.limits}). {reasons}. Set labels.engine and labels.precision "
            f"to 'auto', or widen labels.gate."
        )


def trials_suffice(verdicts: Sequence[GateVerdict], allowed: Sequence[SourceEngine], views: int) -> bool:
    """Whether the fastest allowed engine that passed needs no longer for all views than the trials have taken.

    Another engine could then save less time than was spent on trials.

    Args:
        verdicts: the verdicts so far.
        allowed: the engines that the recipe allows.
        views: how many views are to be queried.
    """
    seconds = sum(it.seconds_to_open + GATE_VIEWS / it.images_per_second for it in verdicts if it.images_per_second)
    speeds = [it.images_per_second for it in verdicts if it.passed and it.engine in allowed]
    return bool(speeds) and views <= max(speeds) * seconds


def _compared(fastest: GateVerdict, verdicts: Sequence[GateVerdict]) -> str:
    reference = verdicts[0]
    if fastest.engine == reference.engine:
        return f"the fastest that passes the gate, {fastest.images_per_second:.0f} images/s"
    faster = fastest.images_per_second / reference.images_per_second
    return (
        f"the fastest that passes the gate: {fastest.images_per_second:.0f} images/s, {faster:.1f} × "
        f"{reference.engine.name}; {fastest.close}"
    )


def _names(engines: Sequence[SourceEngine]) -> str:
    return ", ".join(engine.name for engine in engines)
