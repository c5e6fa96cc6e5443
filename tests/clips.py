"""A toy kind of input with all that it needs to be trained: clips, a data set of them, and a target for them.

A clip is four small frames. Its class is whether it becomes brighter or darker, which no single frame tells.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import nn

from sskt_edge.catalogue.data_sets import DATA_SETS, DataSetEntry
from sskt_edge.catalogue.inputs import INPUTS, InputEntry
from sskt_edge.catalogue.targets import TARGETS, TargetEntry
from sskt_edge.data.arrays import ArrayReader, Arrays
from sskt_edge.data.inputs.image.image import IMAGE
from sskt_edge.data.inputs.input import ViewPolicy
from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.recipe.models import DataOptions
from sskt_edge.targets.spec import TargetSpec
from sskt_edge.tasks.task import Task

FRAMES, SIZE = 4, 16
CLASSES = ("darker", "brighter")
Clips = NDArray[np.uint8]


class ClipInput:
    """Clips uint8 [T,S,S,3]; a view is an image's, for all frames, and a sixth integer: whether it is upside down."""

    view_length = IMAGE.view_length + 1

    def shape(self, size: int) -> tuple[int, ...]:
        return FRAMES, *IMAGE.shape(size)

    def draw(self, hashes: NDArray[np.uint8], policy: ViewPolicy, seed: int, number: int) -> NDArray[np.int32]:
        salt = f"{seed} {number}".encode()
        last = [hashlib.blake2b(row.tobytes(), key=salt, digest_size=1).digest()[0] % 2 for row in hashes]
        views = IMAGE.draw(hashes, policy, seed, number)
        return np.column_stack([views, np.array(last, dtype=np.int32)])

    def cut(self, items: Clips, rows: NDArray[np.intp], views: NDArray[np.int32], unit: int) -> Clips:
        frames = [IMAGE.cut(np.ascontiguousarray(items[:, t]), rows, views[:, :-1], unit) for t in range(FRAMES)]
        cut, upside_down = np.stack(frames, axis=1), views[:, -1] == 1
        cut[upside_down] = cut[upside_down, :, ::-1]
        return cut

    def preprocess(self, size: int, mean: Sequence[float], std: Sequence[float]) -> Pixels:
        return Pixels(size, mean, std)


CLIP = ClipInput()


def clips(count: int, seed: int) -> tuple[Clips, NDArray[np.int64]]:
    """uint8 [N,T,S,S,3], int64 [N]: noise around a brightness that falls or rises from frame to frame."""
    random = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int64) % 2
    levels = 30 * (np.arange(FRAMES) - (FRAMES - 1) / 2) * (2 * labels[:, None] - 1) + random.integers(
        100, 156, (count, 1)
    )
    noise = random.normal(0, 8, (count, FRAMES, SIZE, SIZE, 3))
    return np.clip(levels[..., None, None, None] + noise, 0, 255).astype(np.uint8), labels


def open_clips(data: DataOptions, task: Task, fetch: bool = True) -> ArrayReader:
    """96 clips to train on, 48 for the test."""
    train, test = (
        Arrays(*clips(count, seed), part, range(count)) for count, seed, part in ((96, 0, "train"), (48, 1, "test"))
    )
    return ArrayReader(data, CLASSES, train, lambda: test)


def small3d() -> TargetSpec:
    """Two 3D convolutions. Of its second one branches could hang."""
    return TargetSpec(_network, {"1": 16}, head="3", last_layer="3.2", transfer_width=16)


def _network(classes: int) -> nn.Module:
    def block(channels: int, out: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv3d(channels, out, 3, stride=2, padding=1, bias=False), nn.BatchNorm3d(out), nn.ReLU()
        )

    return nn.Sequential(
        block(3, 8),
        block(8, 16),
        nn.ReLU(),
        nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(16, classes)),
    )


def add_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry for each of the three."""
    monkeypatch.setitem(INPUTS, "clip", InputEntry("clip", "four frames", f"{__name__}:CLIP"))
    clips_entry = DataSetEntry("clips", "darker or brighter", f"{__name__}:open_clips", input="clip", size=SIZE)
    monkeypatch.setitem(DATA_SETS, "clips", clips_entry)
    target = TargetEntry("small3d", "two 3D convolutions", f"{__name__}:small3d", inputs=("clip",), smallest=8)
    monkeypatch.setitem(TARGETS, "small3d", target)
