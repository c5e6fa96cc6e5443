"""Which TensorRT is installed, and which CUDA it uses."""

from __future__ import annotations

from sskt_edge.common.errors import MissingExtraError
from sskt_edge.inference.backends.tensorrt import cuda, flavours
from sskt_edge.inference.backends.tensorrt.flavours import Flavour


def versions(flavour: Flavour) -> dict[str, str]:
    """The versions of the library and of CUDA's runtime.

    Raises:
        MissingExtraError: cuda-bindings is not installed.
        InputError: no GPU answers.
    """
    return {flavour.name: flavour.version, "cuda": cuda.need_device().runtime}


def providers() -> tuple[str, ...]:
    """CUDA if a TensorRT is installed, even if no GPU answers.

    Raises:
        MissingExtraError: none is installed.
    """
    if not flavours.installed():
        raise MissingExtraError(f"This needs a TensorRT, and none is installed. {flavours.how_to_install()}")
    return ("cuda",)
