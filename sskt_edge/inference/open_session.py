"""Open one precision of a bundle with one library."""

from __future__ import annotations

from sskt_edge.bundle.bundle import Bundle
from sskt_edge.inference.backend import backend_named
from sskt_edge.inference.session import Session


def open_session(
    bundle: Bundle,
    precision: str = "fp32",
    backend: str = "onnxruntime",
    provider: str = "auto",
    threads: int = 0,
    trust_engines: bool = False,
) -> Session:
    """A session that runs one of a bundle's precisions.

    Args:
        bundle: an opened bundle.
        precision: "fp32", "fp16", "int8" or "int8-cpu".
        backend: the library, by its name in the catalogue; "tensorrt" runs an engine of the bundle, the others its
            ONNX file.
        provider: what the library runs on.
        threads: the number of threads of one run; 0 leaves it to the library.
        trust_engines: open an engine that this machine did not build.

    Raises:
        BundleError: the bundle has no such precision, a file was changed, or the backend does not support it.
        InputError: the backend or provider does not exist.
        MissingExtraError: the backend's package is not installed.

    >>> import sskt_edge
    >>> bundle = sskt_edge.open_bundle("bundles/tiny")
    >>> session = sskt_edge.open_session(bundle, "fp32")
    >>> images = bundle.golden().images
    >>> images.dtype.name, images.shape, session.run(images).shape
    ('uint8', (40, 16, 16, 3), (40, 10))
    """
    return backend_named(backend).open_precision(bundle, precision, provider, threads, trust_engines)
