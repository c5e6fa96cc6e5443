"""Open a bundle in every way that this machine can run it: each precision with each library that supports it."""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from sskt_edge.bundle.bundle import Bundle
from sskt_edge.catalogue.backends import BACKENDS, BackendEntry
from sskt_edge.common.errors import MissingExtraError, SsktEdgeError
from sskt_edge.inference.backend import backend_named
from sskt_edge.inference.open_session import open_session
from sskt_edge.inference.runners import Runner
from sskt_edge.inference.session import Session


class OpenSession(NamedTuple):
    """One precision and the session that runs it."""

    precision: str
    runner: Runner
    session: Session

    @property
    def name(self) -> str:
        """The precision and the runner, such as "fp32 onnxruntime-cpu"."""
        return f"{self.precision} {self.runner.name}"


class OpenSessions(NamedTuple):
    """The sessions that could be opened, and why the rest could not: name → reason."""

    opened: list[OpenSession]
    unavailable: dict[str, str]


def open_sessions(
    bundle: Bundle,
    precision: str | None = None,
    backend: str | None = None,
    provider: str | None = None,
    threads: int = 0,
    trust_engines: bool = False,
) -> OpenSessions:
    """Open a bundle in every way that this machine can run it.

    Args:
        bundle: an opened bundle.
        precision: open this precision only.
        backend: use this library only.
        provider: use this provider only.
        threads: the number of threads of one run; 0 leaves it to the library.
        trust_engines: open engines that this machine did not build.

    Raises:
        InputError: what was asked for, or everything, cannot be opened.
    """
    ways = _ways(bundle, precision, backend, provider)
    # If what was asked for is not among them, opening it raises the reason.
    ways = ways or [(precision or "fp32", Runner(backend or next(iter(BACKENDS)), provider or "auto"))]
    sessions = OpenSessions([], {})
    failures: list[SsktEdgeError] = []
    for one, runner in ways:
        try:
            session = open_session(bundle, one, runner.backend, runner.provider, threads, trust_engines)
        except SsktEdgeError as error:
            failures.append(error)
            sessions.unavailable[f"{one} {runner.name}"] = str(error)
        else:
            sessions.opened.append(OpenSession(one, Runner(session.backend, session.provider), session))
    if not sessions.opened:
        raise failures[0]
    for entry in BACKENDS.values():
        runners = [Runner(entry.name, one.name) for one in entry.providers]
        if any(_fits((precision or "", runner), (precision, backend, provider)) for runner in runners):
            sessions.unavailable.update(backend_named(entry.name).broken(bundle, precision))
    return sessions


def _ways(bundle: Bundle, precision: str | None, backend: str | None, provider: str | None) -> list[tuple[str, Runner]]:
    """The requested pairs of precision and runner that may be able to run the bundle here."""
    found: list[tuple[str, Runner]] = []
    for entry in BACKENDS.values():
        with suppress(MissingExtraError):
            own = backend_named(entry.name).ways(bundle)
            found += [(one, Runner(entry.name, name)) for one, name in own]
            if backend is None:
                found += _not_built_for(bundle, entry, provider)
    order: list[str] = list(bundle.manifest.precisions)
    fitting = [way for way in found if _fits(way, (precision, backend, provider))]
    return sorted(fitting, key=lambda way: order.index(way[0]))


def _not_built_for(bundle: Bundle, entry: BackendEntry, provider: str | None) -> list[tuple[str, Runner]]:
    """A provider that was requested by name but is missing from the installed library; opening it says so."""
    if not entry.runs_files or provider in backend_named(entry.name).providers():
        return []
    return [
        (precision, Runner(entry.name, its.name))
        for its in entry.providers
        if its.name == provider
        for precision in bundle.manifest.precisions
        if precision in its.takes
    ]


def _fits(way: tuple[str, Runner], asked: tuple[str | None, str | None, str | None]) -> bool:
    precision, runner = way
    is_ = (precision, runner.backend, runner.provider)
    return all(wanted in (None, "auto", one) for wanted, one in zip(asked, is_, strict=True))
