"""Small folders of images with a recipe for them, and a count of what the sources are asked."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from numpy.typing import NDArray

from sskt_edge.recipe import Recipe, parse_recipe
from sskt_edge.sources.torch_session import TorchSession
from sskt_edge.targets.run_folder import TrainedNetwork
from sskt_edge.training.train import train
from tests.data.small import write_classes

TEXT = """
name = "labelled"
[data]
name = "imagefolder"
root = "%s"
image_size = 16
augment = { crop_padding = 1, horizontal_flip = true }
[target]
model = "resnet20"
[[sources]]
name = "teacher"
model = "run/%s"
[labels]
views = 2
batch_size = 4
store = "%s"
[train]
device = "cpu"
precision = "fp32"
epochs = 3
batch_size = 6
optimizer = { name = "sgd", lr = 0.05 }
[export]
golden = 4
"""


class Images:
    """A folder of two classes of eight images, a place for runs, and one for labels; all one user's."""

    def __init__(self, folder: Path, source: TrainedNetwork) -> None:
        self.root, self.store, self.runs, self._source = folder / "images", folder / "labels", folder / "runs", source
        write_classes(self.root / "train", {"a": 8, "b": 8})
        write_classes(self.root / "test", {"a": 2, "b": 2}, first=100)

    def recipe(self, *overrides: str) -> Recipe:
        return parse_recipe(TEXT % (self.root, self._source.folder.path, self.store), overrides)

    def weights(self, *overrides: str) -> bytes:
        """Of a training from its beginning to its end."""
        return train(self.recipe(*overrides), self.runs).folder.primary.read_bytes()


class Asked:
    """Counts the batches that torch sources run, and sends one signal before batch number `interrupt_at`."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.batches, self.interrupt_at = 0, 0
        run = TorchSession.run

        def counted(session: TorchSession, images: NDArray) -> NDArray:  # type: ignore[type-arg]
            self.batches += 1
            if self.batches == self.interrupt_at:
                self.interrupt_at = 0
                signal.raise_signal(signal.SIGINT)
            return run(session, images)

        patch.setattr(TorchSession, "run", counted)
