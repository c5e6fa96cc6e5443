"""Which ONNX Runtime is installed, and what it was built to run on."""

from __future__ import annotations

from types import ModuleType

from sskt_edge.common.errors import MissingExtraError
from sskt_edge.common.packages import install_hint, version_of

# TF32 is off: fp32 means fp32. TensorRT has no such switch here, so "auto" leaves TensorRT out; a source's engine that
# runs on it is compared with torch, as all engines are.
# Neither TensorRT nor CUDA has run in this project's tests yet.
PROVIDERS: dict[str, tuple[str, dict[str, str]]] = {
    "cpu": ("CPUExecutionProvider", {}),
    "cuda": ("CUDAExecutionProvider", {"use_tf32": "0"}),
    "tensorrt": ("TensorrtExecutionProvider", {}),
}
_TENSORRT_PACKAGES = ("tensorrt", "tensorrt-cu12", "tensorrt-cu13")


def library() -> ModuleType:
    """ONNX Runtime, imported.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError(
            "This needs onnxruntime, which is not installed. "
            f"{install_hint('cpu')}, or for CUDA {install_hint('gpu')}; do not install both."
        ) from error
    module: ModuleType = onnxruntime
    return module


def versions(provider: str = "") -> dict[str, str]:
    """The version of ONNX Runtime, and of TensorRT if that is the provider.

    Raises:
        MissingExtraError: it is not installed.
    """
    found = {"onnxruntime": str(library().__version__)}
    if provider == "tensorrt":
        found["tensorrt"] = next(filter(None, map(version_of, _TENSORRT_PACKAGES)), "of the system")
    return found


def providers() -> tuple[str, ...]:
    """The providers that this ONNX Runtime was built for, such as ("cpu", "cuda").

    Raises:
        MissingExtraError: it is not installed.
    """
    present = library().get_available_providers()
    return tuple(name for name, (long, _) in PROVIDERS.items() if long in present)
