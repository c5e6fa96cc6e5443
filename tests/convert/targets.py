"""The fp32 file of each target, which tests share."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from sskt_edge.common.files import write_atomically
from sskt_edge.common.lock import locked
from sskt_edge.common.progress import QUIET
from sskt_edge.convert.onnx_from_module import onnx_from_module
from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.targets.spec import target_spec

SIDE, CLASSES, LARGEST = 32, 5, 8
TOLD = {"sskt_edge.name": "größe", "sskt_edge.classes": '["a", "b"]'}
PIXELS = Pixels(SIDE)


def network_of(model: str) -> nn.Module:
    """A target whose BatchNorms have seen something: folding them wrongly would show."""
    generator = torch.Generator().manual_seed(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = target_spec(model).build(CLASSES)
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer in norms:
        layer.momentum = 1.0
        layer.weight.data.uniform_(0.5, 1.5, generator=generator)
        layer.bias.data.normal_(0, 0.2, generator=generator)
    with torch.no_grad():  # without statistics of its own the signal of a deep network dies away
        network.train()(torch.randn(LARGEST, 3, SIDE, SIDE, generator=generator))
    return network.eval()


class Exported:
    """Target → the bytes of its fp32 file, written once in `folder` for all processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, model: str) -> bytes:
        """The file of `network_of(model)`."""
        file = self._folder / f"{model}.onnx"
        with locked(file.with_suffix(".lock"), "writes it", QUIET):
            if not file.is_file():
                write_atomically(file, onnx_from_module(network_of(model), PIXELS, (SIDE, SIDE, 3), LARGEST, TOLD))
        return file.read_bytes()
