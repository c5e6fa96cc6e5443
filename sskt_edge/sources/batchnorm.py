"""BatchNorm statistics, computed once on the user's own images; then the source is frozen again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from torch.nn.modules.batchnorm import _BatchNorm

from sskt_edge.common.errors import DataError, NetworkError
from sskt_edge.sources.source import Source, TorchSource


def recalibrate(source: Source, batches: Iterable[NDArray[np.uint8]]) -> None:
    """Replace the BatchNorm statistics of a source by those of the images, in one pass, in place.

    This is like torch.optim.swa_utils.update_bn, but only BatchNorm leaves eval mode (no dropout, no stochastic depth,
    no random numbers), and batches are weighted by their size, so that a small last batch does not distort the mean.
    The facts keep the frozen weights and gain the digest of the batches, so they are the same on every device.

    Args:
        source: the source to change.
        batches: batches of images, uint8 [B,S,S,3] each.

    Raises:
        DataError: no images are given.
        NetworkError: the network has no BatchNorm.
    """
    network = source.network.modules() if isinstance(source, TorchSource) else ()
    norms = [module for module in network if isinstance(module, _BatchNorm)]
    if not isinstance(source, TorchSource) or not norms:
        raise NetworkError(
            f"sources.{source.name}.batchnorm = 'recalibrated': this network has no BatchNorm. Set it to 'frozen'."
        )
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.train()
    digest, seen = hashlib.sha256(), 0
    try:
        for images in batches:
            seen += len(images)
            for norm in norms:
                norm.momentum = len(images) / seen
            source.forward(images)
            digest.update(str(images.shape).encode())
            digest.update(images.tobytes())
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()
    if not seen:
        raise DataError(f"Source '{source.name}' got no images to compute BatchNorm statistics from. Check data.root.")
    source.facts = {**source.facts, "batchnorm": "recalibrated", "images": digest.hexdigest()}


def batches_for(images: NDArray[np.uint8], size: int) -> Iterator[NDArray[np.uint8]]:
    """The images, `size` at a time; a last one alone, which some BatchNorm cannot take, joins the batch before it.

    >>> [len(batch) for batch in batches_for(np.zeros((9, 2, 2, 3), dtype=np.uint8), size=4)]
    [4, 5]
    """
    starts = list(range(0, len(images), size))
    if len(starts) > 1 and len(images) - starts[-1] == 1:
        starts.pop()
    for start, end in zip(starts, [*starts[1:], len(images)], strict=True):
        yield images[start:end]
