"""The trials of a sweep in an Optuna storage: open and queue them, and repeat those whose process has died."""

from __future__ import annotations

import contextlib
import time
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from sskt_edge.common.errors import StorageError, StudyError
from sskt_edge.common.lock import is_held, locked
from sskt_edge.common.progress import QUIET
from sskt_edge.common.text import first_line
from sskt_edge.study.space import Point, Space

# A machine that is silent for this many seconds counts as dead, and another repeats its trial.
_HEARTBEAT, _GRACE = 60, 180
_TRIES = 5
_FACTS = "sskt_edge"
_TRIED = {TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING, TrialState.WAITING}

SAMPLERS: dict[str, Callable[[], optuna.samplers.BaseSampler]] = {
    # The points of a grid are queued; this sampler is used only if another process took the last one.
    "grid": optuna.samplers.RandomSampler,
    # Running trials of other machines count as poor ones, so that two machines do not try the same values.
    "tpe": lambda: optuna.samplers.TPESampler(multivariate=True, constant_liar=True),
}


@dataclass(frozen=True)
class Trials:
    """A study in its storage, and this process as one of its workers.

    Attributes:
        study: Optuna's study.
        space: the space of its trials.
        workers: a folder with one file per process, which is locked while the process lives.
        worker: this process's name.
    """

    study: optuna.Study
    space: Space
    workers: Path
    worker: str

    def all(self) -> list[FrozenTrial]:
        """Every trial, in the order of their numbers."""
        return self.study.get_trials(deepcopy=False)

    def point(self, trial: FrozenTrial) -> Point | None:
        """The point that a trial tries; None for a trial that ended before it had one."""
        params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
        return self.space.point(params) if len(params) == len(self.space.axes) else None

    def in_state(self, *states: TrialState) -> list[FrozenTrial]:
        """The trials in one of these states."""
        return [trial for trial in self.all() if trial.state in states]

    def all_but_failed(self) -> list[FrozenTrial]:
        """The trials that count; failed ones are queued again."""
        return self.in_state(*_TRIED)

    def queue(self, points: Iterable[Point]) -> None:
        """Queue the untried points, and again, with their results so far, those whose process failed or died."""
        with locked(self.workers / "queue.lock", "sweeps", QUIET):
            self._fail_the_dead()
            tried = {self.point(trial) for trial in self.all_but_failed()}
            failed = {self.point(trial): trial.user_attrs for trial in self.in_state(TrialState.FAIL)}
            for point in dict.fromkeys([*points, *failed]):
                if point is not None and point not in tried:
                    self.study.enqueue_trial(self.space.params(point), user_attrs=failed.get(point))

    def run_one(self, objective: Callable[[optuna.Trial], float]) -> None:
        """Run the next trial, queued or new; an error other than TrialPruned fails it and is raised."""
        self.study.optimize(objective, n_trials=1)

    def _fail_the_dead(self) -> None:
        optuna.storages.fail_stale_trials(self.study)
        for trial in self.in_state(TrialState.RUNNING):
            file = self.workers / f"{trial.user_attrs.get('worker')}.lock"
            if file.is_file() and not is_held(file):  # a process of another machine has no file here
                self.study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)


@contextlib.contextmanager
def open_trials(
    storage: str, name: str, space: Space, sampler: str, facts: Mapping[str, Any], folder: Path
) -> Iterator[Trials]:
    """Open or create the study `name` in a storage; Optuna is silent inside the context.

    Args:
        storage: an SQLAlchemy URL.
        name: the name of the study.
        space: the keys and values to try.
        sampler: one of SAMPLERS.
        facts: the facts that define the study; a study with other facts is refused.
        folder: the sweep's folder.

    Raises:
        StudyError: the storage cannot be opened, or the study has other facts.
        StorageError: the storage failed during the sweep.
    """
    worker = uuid.uuid4().hex[:12]
    file = folder / "workers" / f"{worker}.lock"
    with _quiet():
        opened = _open_storage(storage)  # before the folder is created: a refused storage leaves nothing behind
        try:
            with locked(file, "sweeps", QUIET):
                study = optuna.create_study(
                    storage=opened,
                    sampler=SAMPLERS[sampler](),
                    study_name=name,
                    direction="maximize",
                    load_if_exists=True,
                )
                _refuse_other_facts(study, facts, storage)
                yield Trials(study, space, file.parent, worker)
        except (SQLAlchemyError, StorageInternalError) as error:
            raise StorageError(f"The storage '{shown(storage)}' failed: {first_line(error).rstrip('.')}.") from error
        finally:
            opened.remove_session()
            opened.engine.dispose()
    file.unlink(missing_ok=True)  # a process that ended normally leaves no trial behind


def shown(storage: str) -> str:
    """The URL of a storage without its password."""
    return make_url(storage).render_as_string(hide_password=True)


def _open_storage(storage: str) -> optuna.storages.RDBStorage:
    for tries_left in reversed(range(_TRIES)):
        try:
            waiting = {"timeout": 60} if make_url(storage).get_backend_name() == "sqlite" else {}
            return optuna.storages.RDBStorage(
                storage, engine_kwargs={"connect_args": waiting}, heartbeat_interval=_HEARTBEAT, grace_period=_GRACE
            )
        except (SQLAlchemyError, StorageInternalError, ImportError, ValueError, RuntimeError) as error:
            # Another process creates the same tables at the same moment; they exist on the next attempt.
            if tries_left and (isinstance(error, IntegrityError) or "already exists" in str(error)):
                time.sleep(0.5)
                continue
            why = error.__cause__ if isinstance(error.__cause__, ImportError) else error  # it names the missing module
            raise StudyError(
                f"Cannot open the storage of trials: {first_line(why).rstrip('.')}. Expected an SQLAlchemy URL such as "
                f"sqlite:///sweep.db or postgresql://user@host/base, with its driver installed."
            ) from error
    raise AssertionError("the last try returns or raises")


def _refuse_other_facts(study: optuna.Study, facts: Mapping[str, Any], storage: str) -> None:
    then = study.user_attrs.get(_FACTS)
    if then is None and not study.get_trials(deepcopy=False):
        study.set_user_attr(_FACTS, dict(facts))
    elif then != dict(facts):
        differ = sorted(key for key in facts if (then or {}).get(key) != facts[key])
        raise StudyError(
            f"The study '{study.study_name}' in '{shown(storage)}' has another {' and another '.join(differ)}. "
            f"Name another study: --study NAME."
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence Optuna's log and its warnings about experimental features."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


def values_of(trial: FrozenTrial, seeds: Sequence[int]) -> dict[int, float]:
    """Seed → the metric on validation images, for the seeds that a trial has finished."""
    found = trial.user_attrs.get("values", {})
    return {seed: found[str(seed)] for seed in seeds if str(seed) in found}
