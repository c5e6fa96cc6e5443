"""The question that a source is asked: which views, seen how; with what a label of it depends on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sskt_edge.common.packages import version_of
from sskt_edge.sources.engines import SourceEngine, engine_facts
from sskt_edge.sources.query_source import view_batch
from sskt_edge.sources.source import Source
from sskt_edge.sources.store.collection import Collection
from sskt_edge.sources.store.store import LabelStore
from sskt_edge.sources.view_schedule import ViewSchedule

# An engine is compared with torch on this many views: fewer would leave the share of equal classes to chance.
GATE_VIEWS = 256
# Changes with how views are cut and resized before a source sees them.
_CUT_VERSION = 1


@dataclass(frozen=True)
class LabelQuery:
    """A source, and the views that it is to be asked about.

    Attributes:
        source: the source that is asked.
        side: of the squares that it sees.
        see: "native" or "upsampled".
        wanted: the labelled images' views, and the unlabelled ones' if there are any.
        device: where torch runs.
    """

    source: Source
    side: int
    see: str
    wanted: tuple[ViewSchedule, ...]
    device: torch.device

    def facts(self, engine: SourceEngine) -> dict[str, Any]:
        """All that a label depends on, apart from the image's content and the view."""
        plan = self.wanted[0].plan
        return {
            "model": self.source.facts["model"],
            "source": dict(self.source.facts),
            "engine": engine_facts(engine, self.device),
            "sees": {"how": self.see, "square": self.side, "view_side": plan.policy.side, "cut": _CUT_VERSION},
            "batch": plan.batch_size,
            "pillow": version_of("pillow"),
        }

    def collection(self, store: LabelStore, engine: SourceEngine, top_k: int) -> Collection:
        """Where the store keeps what this engine says."""
        return store.collection(self.facts(engine), self.source.classes, top_k)

    def missing(self, collection: Collection) -> int:
        """How many views are not in the collection yet, each counted once."""
        return sum(int(collection.missing(wanted.keys[wanted.distinct]).sum()) for wanted in self.wanted)

    @property
    def images_sha256(self) -> str:
        """SHA-256, in hex, of the images that the views are of, in whatever order."""
        hashes = sorted(row.tobytes() for wanted in self.wanted for row in wanted.images.hashes)
        return hashlib.sha256(b"".join(hashes)).hexdigest()

    def known_images(self, collection: Collection) -> float:
        """The share of the images that the collection has a label of, whichever view it is."""
        known = 0
        for wanted in self.wanted:
            rows = wanted.rows(np.arange(len(wanted.keys)))
            known += len(np.unique(rows[~collection.missing(wanted.keys)]))
        return known / sum(len(wanted.images) for wanted in self.wanted)

    @property
    def views(self) -> int:
        """How many different views there are."""
        return sum(len(wanted.distinct) for wanted in self.wanted)

    def sample(self) -> list[NDArray[np.uint8]]:
        """Real views, evenly from all of the labelled images, in full batches of uint8 [batch,side,side,3]."""
        wanted, size = self.wanted[0], self.wanted[0].plan.batch_size
        count = -(-min(GATE_VIEWS, len(wanted.distinct)) // size) * size
        spread = np.linspace(0, len(wanted.distinct) - 1, min(count, len(wanted.distinct))).astype(np.intp)
        places = np.resize(wanted.distinct[spread], count)
        return [view_batch(self.side, wanted, places[at : at + size]) for at in range(0, count, size)]
