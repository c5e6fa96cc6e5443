"""A label query: a source, the views it is queried for, how it is shown them, and all that a label depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sskt_edge.common.packages import version_of
from sskt_edge.inference.session import Session
from sskt_edge.sources.engines import SourceEngine, engine_facts, int8_engines_here
from sskt_edge.sources.int8_file import int8_facts
from sskt_edge.sources.query_source import view_batch
from sskt_edge.sources.source import Source
from sskt_edge.sources.store.collection import Collection
from sskt_edge.sources.store.label_format import LabelFormat
from sskt_edge.sources.store.store import LabelStore
from sskt_edge.sources.view_schedule import ViewSchedule
from sskt_edge.sources.views.source_view import SourceView

# An engine is compared with torch on this many views: with fewer, the share of equal classes would be down to chance.
GATE_VIEWS = 256
# With more views the ranges of an int8 file hardly change, and each one takes time before the first answer.
CALIBRATION_VIEWS = 128


@dataclass(frozen=True)
class LabelQuery:
    """A source and the views that it is queried for.

    Attributes:
        source: the source that is queried.
        source_view: how a view is shown to the source.
        schedules: the views of the labelled images, and those of the unlabelled images if there are any.
        device: the device that torch runs on.
        top_k: how many of its logits are kept; 0 keeps all.
    """

    source: Source
    source_view: SourceView
    schedules: tuple[ViewSchedule, ...]
    device: torch.device
    top_k: int = 0

    @property
    def batch_size(self) -> int:
        """The number of images that the source gets at once."""
        return self.schedules[0].plan.batch_size

    @property
    def label_format(self) -> LabelFormat:
        """The format in which its logits are kept."""
        return LabelFormat.of(self.source.classes, self.top_k)

    def facts(self, engine: SourceEngine) -> dict[str, Any]:
        """All that a label depends on, apart from the image's content and the view."""
        return {
            "model": self.source.facts["model"],
            "source": dict(self.source.facts),
            "engine": self._engine_facts(engine),
            "sees": self.source_view.facts(),
            "batch": self.batch_size,
            "pillow": version_of("pillow"),
        }

    def _engine_facts(self, engine: SourceEngine) -> dict[str, Any]:
        facts = engine_facts(engine, self.device)
        return {**facts, "int8": int8_facts(self._calibration_keys)} if engine.precision == "int8" else facts

    def has_int8_file_of(self, engine: Mapping[str, Any]) -> bool:
        """Whether the file of an int8 engine with these facts is that of this query, whoever's libraries made it."""
        ours, theirs = int8_facts(self._calibration_keys), engine.get("int8")
        return isinstance(theirs, dict) and all(theirs.get(key) == ours[key] for key in ours if key != "made_by")

    def engines(self) -> tuple[SourceEngine, ...]:
        """The engines that can run the source here, the reference first; int8 last, whose files need the views."""
        same = self.source.engines()
        return (*same, *int8_engines_here(same[0], self.device))

    def open(self, engine: SourceEngine) -> Session:
        """Open the source with an engine.

        Raises:
            InputError: the engine does not run here, or does not support this source.
        """
        calibration = self._calibration() if engine.precision == "int8" else None
        return self.source.open(engine, self.source_view.size, self.batch_size, calibration)

    @property
    def _calibration_slots(self) -> NDArray[np.intp]:
        """The first view of some labelled images, spread evenly: the same for every number of views and epochs."""
        count = len(self.schedules[0].images)
        return np.linspace(0, count - 1, min(CALIBRATION_VIEWS, count)).astype(np.intp)

    @property
    def _calibration_keys(self) -> bytes:
        return self.schedules[0].keys[self._calibration_slots].tobytes()

    def _calibration(self) -> NDArray[np.uint8]:
        return view_batch(self.source_view, self.schedules[0], self._calibration_slots)

    def collection(self, store: LabelStore, engine: SourceEngine) -> Collection:
        """The store's collection of this source's labels by this engine."""
        return store.collection(self.facts(engine), self.source.classes, self.top_k)

    def missing(self, collection: Collection) -> int:
        """The number of distinct views that are not in the collection yet."""
        return sum(int(collection.missing(part.keys[part.distinct]).sum()) for part in self.schedules)

    @property
    def images_sha256(self) -> str:
        """The SHA-256, in hex, of the set of images, independent of their order."""
        hashes = sorted(row.tobytes() for part in self.schedules for row in part.images.hashes)
        return hashlib.sha256(b"".join(hashes)).hexdigest()

    def known_images(self, collection: Collection) -> float:
        """The share of the images for which the collection has a label of any view."""
        known = 0
        for part in self.schedules:
            rows = part.rows(np.arange(len(part.keys)))
            known += len(np.unique(rows[~collection.missing(part.keys)]))
        return known / sum(len(part.images) for part in self.schedules)

    @property
    def views(self) -> int:
        """The number of distinct views."""
        return sum(len(part.distinct) for part in self.schedules)

    def sample(self) -> list[NDArray[np.uint8]]:
        """Real views, spread evenly over the labelled images, in full batches of uint8 [batch,size,size,3]."""
        slots, size = gate_slots(self.schedules[0]), self.batch_size
        return [
            view_batch(self.source_view, self.schedules[0], slots[at : at + size]) for at in range(0, len(slots), size)
        ]


def gate_slots(labelled: ViewSchedule) -> NDArray[np.intp]:
    """The slots of the views that the gate tries engines on: spread evenly over all, in full batches."""
    batch_size, distinct = labelled.plan.batch_size, labelled.distinct
    count = -(-min(GATE_VIEWS, len(distinct)) // batch_size) * batch_size
    spread = np.linspace(0, len(distinct) - 1, min(count, len(distinct))).astype(np.intp)
    return np.resize(distinct[spread], count)
