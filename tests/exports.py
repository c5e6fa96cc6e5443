"""The fp32 files of runs, which tests share: each is written once, whichever test or process asks for it first."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import torch

from sskt_edge.common.files import write_atomically
from sskt_edge.common.lock import locked
from sskt_edge.common.progress import QUIET
from sskt_edge.targets.run_folder import TrainedNetwork


class Exports:
    """Run → the bytes of its fp32 file, as `write` makes them.

    Args:
        folder: where the files are, named by the hash of all that they are made from.
        write: the product's own function, `fp32_from_run`.
    """

    def __init__(self, folder: Path, write: Callable[[TrainedNetwork], bytes]) -> None:
        self._folder, self._write = folder, write

    def __call__(self, run: TrainedNetwork) -> bytes:
        """The fp32 file of this run."""
        file = self._folder / f"{_made_from(run)}.onnx"
        with locked(file.with_suffix(".lock"), "writes it", QUIET):
            if not file.is_file():
                write_atomically(file, self._write(run))
        return file.read_bytes()


def _made_from(run: TrainedNetwork) -> str:
    weights = io.BytesIO()
    torch.save(run.network.state_dict(), weights)
    facts = (run.network, run.pixels.size, run.pixels.mean, run.pixels.std, run.shape, run.classes)
    lineage = (run.recipe.name, run.recipe.target, run.recipe.export.batch.max, run.result.recipe_sha256)
    named = repr((*facts, *lineage, run.result.data_sha256, run.weights_sha256))
    return hashlib.sha256(weights.getvalue() + named.encode()).hexdigest()
