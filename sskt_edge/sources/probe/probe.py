"""A probe, and its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, TypeAdapter
from safetensors import SafetensorError

from sskt_edge.common import seal
from sskt_edge.common.errors import RunError
from sskt_edge.common.text import first_line
from sskt_edge.tasks.score import Score
from sskt_edge.tasks.task import Linear


class ProbeFacts(BaseModel):
    """What the held-out folds say of a probe.

    Attributes:
        sources: the names of the sources; their logits are concatenated in this order.
        score: the task's metric on the labelled images, each answered by the version that has not seen it, by the mean
            of its views' logits.
        chance: the metric of answers that do not depend on the image.
        loss: the task's mean loss on the held-out views, after calibration, in nats.
        gain: how much lower that is than the held-out loss of the classes' frequencies.
        gain_error: its standard error, by the choice of the images.
        temperature: the logits were divided by it, so that the held-out loss is lowest.
        strength: the inverse of the regularisation.
        views: the number of views that it was fitted on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    sources: tuple[str, ...]
    score: Score
    chance: float
    loss: float
    gain: float
    gain_error: float
    temperature: float
    strength: float
    views: int

    @property
    def name(self) -> str:
        """The source's name, or the names of all."""
        return " + ".join(self.sources)

    @property
    def is_at_chance(self) -> bool:
        """Whether it is no better than answers that do not depend on the image, by the metric and by the loss.

        Where one class is far more frequent than the others, its accuracy alone can be at chance.
        """
        return self.score.value <= self.chance and self.gain <= 0

    @property
    def is_better_than_chance(self) -> bool:
        """Whether that is clear: by the whole 95 % interval of the metric, or by the loss."""
        return self.score.interval[0] > self.chance or self.gain > 1.96 * self.gain_error

    def __str__(self) -> str:
        """In words, for the log."""
        return f"{self.score.metric} {self.score}, cross-validated; chance level {self.chance:.1%}"


_LIST_OF_FACTS = TypeAdapter(tuple[ProbeFacts, ...])


@dataclass(frozen=True)
class Probe:
    """A linear layer on the logits of sources, in as many versions as there are folds; version f has not seen fold f.

    Scaling, centring and temperature are part of the weights.

    Attributes:
        facts: the facts of this probe, then those of the others that were fitted, in the order of their held-out loss.
        layers: the layer of each fold, [D,K] and [K].
        folds: int64 [N], the fold of each labelled image; -1 for an image without a label.
    """

    facts: tuple[ProbeFacts, ...]
    layers: tuple[Linear, ...]
    folds: NDArray[np.int64]

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of its sources."""
        return self.facts[0].sources

    @property
    def mean(self) -> Linear:
        """The mean of all versions, whose logits are the mean of theirs: the layer for images outside all folds."""
        parts = (np.stack(arrays).mean(axis=0, dtype=np.float64) for arrays in zip(*self.layers, strict=True))
        return Linear(*(np.asarray(part, dtype=np.float32) for part in parts))

    def layer(self, fold: int) -> Linear:
        """The layer that has not seen this fold; for fold -1, the mean of all."""
        return self.mean if fold < 0 else self.layers[fold]

    def logits(self, inputs: NDArray[np.float32], folds: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """The logits of each input by the layer that has not seen its fold. [B,D], [B] → [B,K]."""
        given = np.empty((len(inputs), len(self.layers[0].bias)), dtype=np.float32)
        for fold in np.unique(folds):
            here = folds == fold
            given[here] = self.layer(int(fold)).logits(inputs[here])
        return given

    def inputs(self, logits: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """The probe's inputs. {source: [B,C]} → [B,D]."""
        return np.concatenate([logits[name] for name in self.sources], axis=1)

    def as_bytes(self) -> bytes:
        """The content of its file: safetensors that carry their own hash. Equal probes have equal files."""
        arrays: dict[str, NDArray[Any]] = {
            "weights": np.stack([layer.weights for layer in self.layers]),
            "bias": np.stack([layer.bias for layer in self.layers]),
            "folds": self.folds,
            # As an array: safetensors writes several entries of metadata in no fixed order.
            "facts": np.frombuffer(_LIST_OF_FACTS.dump_json(self.facts), dtype=np.uint8),
        }
        return seal.sealed(safetensors.numpy.save(arrays, {seal.KEY: seal.BLANK}))


def probe_from_bytes(content: bytes, where: str) -> Probe:
    """Read the content of a probe's file. Its own hash is checked first.

    Args:
        content: the content.
        where: the file's name, for messages.

    Raises:
        RunError: it is broken or was changed.
    """
    try:
        if not seal.is_sealed(content):
            raise seal.BrokenSealError(seal.LOST)
        arrays = safetensors.numpy.load(content)
        layers = tuple(Linear(*pair) for pair in zip(arrays["weights"], arrays["bias"], strict=True))
        return Probe(_LIST_OF_FACTS.validate_json(arrays["facts"].tobytes()), layers, arrays["folds"])
    except (SafetensorError, ValueError, KeyError) as error:
        raise RunError(
            f"The probe '{where}' cannot be read: {first_line(error)}. Start a new run: leave out --resume."
        ) from error


def held_out_scores(probe: Probe) -> dict[str, Score]:
    """The names of its sources → the held-out score, of the probe and of the others that were fitted with it."""
    return {facts.name: facts.score for facts in probe.facts}
