"""Weights from untrusted files: safetensors, or torch's format with weights_only. Neither can run code."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from sskt_edge.common.errors import CheckpointError
from sskt_edge.common.text import first_line

# The keys under which training scripts store the weights in a checkpoint, and the prefixes that wrappers add to names.
_INSIDE = ("state_dict", "model", "model_state_dict")
_WRAPPERS = ("module.", "_orig_mod.")
_OLD_DENSENET = re.compile(r"(\.denselayer\d+\.(?:norm|conv))\.(\d)\.")


def read_weights(path: Path) -> dict[str, Tensor]:
    """The state dict of a checkpoint file: .safetensors, or torch's .pth, .pt, .pth.tar or .th.

    From a checkpoint that holds more (epoch, optimizer), "state_dict" or "model" is taken. DataParallel's prefix
    `module.` is removed, and the names of old torchvision DenseNets (`norm.1`) are changed to the current ones
    (`norm1`).

    Raises:
        CheckpointError: it is missing, broken, has no weights, or needs pickle code, which is never run.
    """
    if not path.is_file():
        raise CheckpointError(f"No weights file '{path}'. Check the path.")
    tree = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    for name in _INSIDE:
        if isinstance(tree, Mapping) and isinstance(tree.get(name), Mapping):
            tree = tree[name]
            break
    weights = {_bare(str(key)): value for key, value in _items(tree) if isinstance(value, Tensor)}
    if not weights:
        raise CheckpointError(f"'{path}' holds no weights: expected a state dict of tensors. Got: {_summary(tree)}.")
    return weights


def named_as(network: nn.Module, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename `weights` to the names that `network` uses.

    The published CIFAR ResNets (github.com/akamaster/pytorch_resnet_cifar10) call their last layer `linear`; here it is
    called `fc`.
    """
    own = network.state_dict()
    if "fc.weight" not in own or "linear.weight" in own or "fc.weight" in weights:
        return dict(weights)
    return {re.sub(r"^linear\.", "fc.", key): value for key, value in weights.items()}


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], where: str) -> None:
    """Load all of `weights` into all of `network`, or nothing.

    Raises:
        CheckpointError: names or shapes differ; the first differences are listed.
    """
    own = network.state_dict()
    # Checkpoints from before PyTorch 0.4 lack the batch counters, which evaluation does not use.
    counters = {key for key in own if key.endswith("num_batches_tracked")}
    missing = [key for key in own if key not in weights and key not in counters]
    unknown = [key for key in weights if key not in own]
    shapes = [
        f"{key} is {tuple(value.shape)}, must be {tuple(own[key].shape)}"
        for key, value in weights.items()
        if key in own and value.shape != own[key].shape
    ]
    if missing or unknown or shapes:
        faults = [
            f"{len(faulty)} {kind}: {'; '.join(faulty[:3])}{' …' if len(faulty) > 3 else ''}"
            for kind, faulty in (("missing", missing), ("unknown", unknown), ("of another shape", shapes))
            if faulty
        ]
        raise CheckpointError(
            f"The weights of '{where}' do not fit this network: {'. '.join(faults)}. "
            f"Check the network's name and the number of classes."
        )
    network.load_state_dict({**own, **weights})


@contextmanager
def no_pickles() -> Iterator[None]:
    """Inside this context torch.load never runs pickle code, whatever its caller asks for.

    torchvision and some versions of timm read cached files without weights_only, and do not hash a cached file again.
    """
    forced = {"TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "0"}
    before = {key: os.environ.get(key) for key in forced}
    os.environ.update(forced)
    try:
        yield
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"Cached weights were not opened: reading them could run code that they contain. "
            f"Remove them from '{torch.hub.get_dir()}/checkpoints'. ({first_line(error)})"
        ) from error
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"'{path}' is not a complete safetensors file: {error}. Fetch it again.") from error


def _read_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"'{path}' was not opened: it is not a plain weights file, and reading it could run code that it contains. "
            f"If you trust it, save its state dict alone where you do: torch.save(model.state_dict(), FILE). "
            f"({first_line(error)})"
        ) from error
    except Exception as error:  # torch's reader raises any kind of exception for a broken file
        raise CheckpointError(
            f"'{path}' is not a complete weights file: {first_line(error)}. Fetch it again."
        ) from error


def _items(tree: Any) -> list[tuple[Any, Any]]:
    return list(tree.items()) if isinstance(tree, Mapping) else []


def _bare(key: str) -> str:
    while key.startswith(_WRAPPERS):
        key = key.partition(".")[2]
    return _OLD_DENSENET.sub(r"\1\2.", key)


def _summary(tree: Any) -> str:
    return f"the keys {[str(key) for key in tree][:5]}" if isinstance(tree, Mapping) else f"a {type(tree).__name__}"
