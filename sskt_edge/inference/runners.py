"""The runners of ONNX files on this machine: each backend with each of its providers."""

from __future__ import annotations

from dataclasses import dataclass

from sskt_edge.catalogue.backends import BACKENDS
from sskt_edge.common.errors import MissingExtraError
from sskt_edge.inference.backend import backend_named
from sskt_edge.inference.session import Session


@dataclass(frozen=True)
class Runner:
    """A backend with one of its providers.

    Attributes:
        backend: its name in the catalogue.
        provider: what it runs on.
    """

    backend: str
    provider: str

    @property
    def name(self) -> str:
        """The backend and the provider, such as "onnxruntime-cpu"."""
        return f"{self.backend}-{self.provider}"

    def open(self, content: bytes, shape: tuple[int, ...], max_batch: int, threads: int = 0) -> Session:
        """A session of an ONNX file that takes uint8 [N,*shape].

        Raises:
            NetworkError: the library does not support the network.
            InputError: the provider does not start.
        """
        backend = backend_named(self.backend)
        return backend.open_file(content, shape, max_batch, provider=self.provider, threads=threads)


def judge() -> Runner:
    """The runner that every export is judged by: the first of the catalogue."""
    first = next(iter(BACKENDS.values()))
    return Runner(first.name, first.providers[0].name)


def runners_here() -> tuple[Runner, ...]:
    """The runners whose library is installed; whether a provider starts is known only when a session is opened."""
    found = []
    for entry in BACKENDS.values():
        if entry.runs_files:
            try:
                here = backend_named(entry.name).providers()
            except MissingExtraError:
                continue
            found += [Runner(entry.name, provider.name) for provider in entry.providers if provider.name in here]
    return tuple(found)


def runners_of(precision: str, runners: tuple[Runner, ...]) -> tuple[Runner, ...]:
    """The runners that support a precision's file."""
    return tuple(runner for runner in runners if precision in _taken_by(runner))


def _taken_by(runner: Runner) -> tuple[str, ...]:
    return next(one.takes for one in BACKENDS[runner.backend].providers if one.name == runner.provider)
