"""The soft labels that a probe makes of the stored ones: logits in the task's own classes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sskt_edge.sources.probe.probe import Probe
from sskt_edge.sources.soft_labels import LogitsReader, SoftLabels

# The name of the probe's logits among the soft labels of a batch; no source may have it.
PROBE = "probe"
# Logits are computed in the same blocks whatever a training's batches are, so that they are the same to the bit.
_BLOCK = 4096


class ProbeLogits:
    """A probe's logits for every view of a schedule, float32 [views,K] in memory.

    Args:
        probe: the probe.
        labels: the views, and the logits of the probe's sources.
        is_labelled: whether these are the labelled images, which get the version that has not seen them; all other
            images get the mean of the versions.
    """

    def __init__(self, probe: Probe, labels: SoftLabels, is_labelled: bool) -> None:
        views = labels.schedule.count
        self._logits = np.empty((views, len(probe.layers[0].bias)), dtype=np.float32)
        for start in range(0, views, _BLOCK):
            slots = np.arange(start, min(start + _BLOCK, views))
            inputs = probe.inputs({name: labels.readers[name].read(slots) for name in probe.sources})
            folds = probe.folds[labels.schedule.rows(slots)] if is_labelled else np.full(len(slots), -1)
            self._logits[slots] = probe.logits(inputs, folds)

    def read(self, slots: NDArray[np.intp]) -> NDArray[np.float32]:
        """[B] → float32 [B,K]."""
        return self._logits[slots]


def with_probe(probe: Probe, labels: SoftLabels, is_labelled: bool, kept: tuple[str, ...]) -> SoftLabels:
    """The soft labels of a probe, together with those of the sources in `kept`."""
    readers: Mapping[str, LogitsReader] = {
        PROBE: ProbeLogits(probe, labels, is_labelled),
        **{name: labels.readers[name] for name in kept},
    }
    return SoftLabels(labels.schedule, readers)
