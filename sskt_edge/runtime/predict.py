"""What is on these images? The classes that a bundle holds most likely."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sskt_edge.errors import WorkError
from sskt_edge.runtime.bundle import Bundle
from sskt_edge.runtime.images import read_square
from sskt_edge.runtime.session import Session, run_batches


def predict(
    bundle: Bundle, session: Session, paths: Sequence[Path], top: int = 5
) -> list[tuple[Path, list[tuple[str, float]]]]:
    """For each image its `top` classes with their probabilities, the likeliest first.

    Raises:
        DataError: an image cannot be read.
        WorkError: the network answered something that is not a finite number.
    """
    classes = bundle.manifest.classes
    side, batch = bundle.manifest.input.height, bundle.manifest.input.batch.opt
    answers = []
    # Images are read a batch at a time, so that thousands of them need no more memory than a few.
    for start in range(0, len(paths), batch):
        part = paths[start : start + batch]
        images = np.stack([read_square(path, side) for path in part])
        logits = run_batches(session, images, batch, len(classes)).astype(np.float64)
        for path, row in zip(part, logits, strict=True):
            if not np.isfinite(row).all():
                raise WorkError(f"The network's answer to '{path}' is not a finite number. Check it: sskt-edge eval.")
            shares = np.exp(row - row.max())
            shares /= shares.sum()
            first = np.argsort(-row, kind="stable")[:top]
            answers.append((path, [(classes[number], float(shares[number])) for number in first]))
    return answers
