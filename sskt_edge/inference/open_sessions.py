"""Every way in which this machine can run a bundle, opened: each precision by each library that takes it."""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from sskt_edge.bundle.bundle import Bundle
from sskt_edge.common.errors import SsktEdgeError
from sskt_edge.inference.backends.tensorrt import cuda, flavours
from sskt_edge.inference.bundle_engines import PRECISIONS, BundleEngines, look_at_engines
from sskt_edge.inference.open_session import open_session
from sskt_edge.inference.runners import Runner, runners_here, runners_of
from sskt_edge.inference.session import Session
from sskt_edge.machine.conditions import conditions
from sskt_edge.machine.device import gpu_of

_ENGINE = Runner("tensorrt", "cuda")


class OpenSession(NamedTuple):
    """One precision, and the session that runs it."""

    precision: str
    runner: Runner
    session: Session

    @property
    def name(self) -> str:
        """Such as "fp32 onnxruntime-cpu"."""
        return f"{self.precision} {self.runner.name}"


class OpenSessions(NamedTuple):
    """What could be opened, and why the rest could not: name → reason."""

    opened: list[OpenSession]
    closed: dict[str, str]


def open_sessions(
    bundle: Bundle,
    precision: str | None = None,
    backend: str | None = None,
    provider: str | None = None,
    threads: int = 0,
    trust_engines: bool = False,
) -> OpenSessions:
    """Open what a bundle can be run by here.

    Args:
        bundle: an opened bundle.
        precision: this one alone.
        backend: this library alone.
        provider: on this alone.
        threads: of one run; 0 leaves it to the library.
        trust_engines: open engines that this machine did not build.

    Raises:
        InputError: what was asked for cannot be opened, or nothing can.
    """
    asked = (precision, backend, provider)
    engines = look_at_engines(bundle)
    ways = [way for way in _ways(bundle, engines) if _fits(way, asked)]
    on_cuda = Runner("onnxruntime", "cuda")
    if provider == "cuda" and backend is None and not any(runner == on_cuda for _, runner in ways):
        # Asked for by name: where ONNX Runtime has no CUDA here it says so, whatever TensorRT says.
        taken = [one for one in bundle.manifest.precisions if runners_of(one, (on_cuda,))]
        ways = [(one, on_cuda) for one in taken if precision in (None, one)] + ways
    # What was asked for and is not among them says itself why.
    ways = ways or [(precision or "fp32", Runner(backend or "onnxruntime", provider or "auto"))]
    openings = OpenSessions([], {})
    failures: list[SsktEdgeError] = []
    for one, runner in ways:
        try:
            session = open_session(bundle, one, runner.backend, runner.provider, threads, trust_engines)
        except SsktEdgeError as error:
            failures.append(error)
            openings.closed[f"{one} {runner.name}"] = str(error)
        else:
            openings.opened.append(OpenSession(one, Runner(session.backend, session.provider), session))
    if not openings.opened:
        raise failures[0]
    for one in [precision] if precision else PRECISIONS:
        if _fits((one, _ENGINE), asked):
            openings.closed.update({plan: str(engines.broken[plan]) for plan in engines.broken_of(one)})
    return openings


def _ways(bundle: Bundle, engines: BundleEngines) -> list[tuple[str, Runner]]:
    """Each precision of the bundle with each runner that is installed, and with engines.

    Engines count where the bundle has one, and where one could be built, so that opening it says how.
    """
    here = runners_here()
    precisions = list(bundle.manifest.precisions)
    ways = [(precision, runner) for precision in precisions for runner in runners_of(precision, here)]
    built = {engine.sidecar.network for engine in engines.whole}
    if flavours.installed() and (engines.whole or engines.broken or _has_gpu()):
        built |= {name for name in PRECISIONS if not engines.broken_of(name)}
    return [*ways, *((precision, _ENGINE) for precision in precisions if precision in built)]


def _has_gpu() -> bool:
    """Whether CUDA takes a GPU, or the system shows one that it does not take."""
    with suppress(SsktEdgeError):  # cuda-bindings is not installed, or CUDA fails
        if cuda.device() is not None:
            return True
    return gpu_of(conditions()) is not None


def _fits(way: tuple[str, Runner], asked: tuple[str | None, str | None, str | None]) -> bool:
    precision, runner = way
    is_ = (precision, runner.backend, runner.provider)
    return all(wanted in (None, "auto", one) for wanted, one in zip(asked, is_, strict=True))
