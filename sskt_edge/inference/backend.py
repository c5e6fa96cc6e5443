"""The interface of every backend, and how a backend is loaded by its name."""

from __future__ import annotations

from abc import ABC, abstractmethod

from sskt_edge.bundle.bundle import Bundle
from sskt_edge.catalogue.backends import BACKENDS
from sskt_edge.common.errors import BundleError, InputError, NetworkError, nearest
from sskt_edge.inference.session import Session


class Backend(ABC):
    """One library that runs networks. Creating a backend loads nothing heavy.

    By default it runs the ONNX files of a bundle; a backend that runs something else overrides `open_precision`.

    Attributes:
        name: the name of its entry in the catalogue.
    """

    name: str

    @abstractmethod
    def providers(self) -> tuple[str, ...]:
        """The providers of its entry that the installed library was built for. A provider may still fail to start.

        Raises:
            MissingExtraError: it is not installed.
        """

    @abstractmethod
    def versions(self, provider: str = "") -> dict[str, str]:
        """The versions of the libraries that take part.

        Args:
            provider: a provider whose own library is included; "" includes none.

        Raises:
            MissingExtraError: it is not installed.
        """

    @abstractmethod
    def open_file(
        self,
        content: bytes,
        shape: tuple[int, ...],
        max_batch: int,
        *,
        provider: str = "auto",
        threads: int = 0,
        precision: str = "fp32",
        fixed_batch: bool = False,
    ) -> Session:
        """A session of an ONNX file that takes uint8 [N,*shape].

        Args:
            content: the bytes of the file.
            shape: the shape of one image, channels last: (S,S,3).
            max_batch: the largest batch; more images are run in several batches.
            provider: what the library runs on.
            threads: the number of threads of one run on a CPU; 0 leaves it to the library.
            precision: the precision that the graph computes in, or that the library shall compute in.
            fixed_batch: run exactly max_batch images every time.

        Raises:
            BundleError: the file is broken or names external data.
            NetworkError: the library does not support the network, or its input or output has another form.
            InputError: the provider or the precision is unknown, or the provider does not start.
            MissingExtraError: the library, or one with that provider, is not installed.
        """

    def open_precision(
        self,
        bundle: Bundle,
        precision: str,
        provider: str = "auto",
        threads: int = 0,
        trust_engines: bool = False,  # noqa: ARG002
    ) -> Session:
        """A session of one precision of a bundle.

        Args:
            bundle: an opened bundle.
            precision: its name in the manifest.
            provider: what the library runs on.
            threads: the number of threads of one run; 0 leaves it to the library.
            trust_engines: open an engine that this machine did not build. An ONNX file needs no trust: it is not a
                program.

        Raises:
            BundleError: the bundle has no such precision, a file was changed, or the library does not support it.
            InputError: the provider is unknown or does not start.
            MissingExtraError: the library is not installed.
        """
        record, takes = bundle.precision(precision), bundle.manifest.input
        content = bundle.read(record.file)
        try:
            return self.open_file(content, takes.shape, takes.batch.max, provider=provider, threads=threads)
        except NetworkError as error:
            raise BundleError(f"'{bundle.path / record.file}': {error}") from error

    def ways(self, bundle: Bundle) -> list[tuple[str, str]]:
        """The pairs of precision and provider that may be able to run the bundle here.

        Raises:
            MissingExtraError: the library is not installed.
        """
        here = self.providers()
        return [
            (precision, provider.name)
            for precision in bundle.manifest.precisions
            for provider in BACKENDS[self.name].providers
            if provider.name in here and precision in provider.takes
        ]

    def broken(self, bundle: Bundle, precision: str | None = None) -> dict[str, str]:  # noqa: ARG002
        """The broken files of a bundle, or of one of its precisions, that belong to this backend: name → reason."""
        return {}


def backend_named(name: str) -> Backend:
    """The backend of this name in the catalogue.

    Raises:
        InputError: there is none.
    """
    if name not in BACKENDS:
        raise InputError(f"Unknown backend '{name}'. {nearest(name, BACKENDS)}Known: {', '.join(BACKENDS)}.")
    backend: Backend = BACKENDS[name].load()()
    return backend
