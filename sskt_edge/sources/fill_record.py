"""What a filling records apart from its labels, for the list of collections and for the next filling."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from sskt_edge.sources.store.collection import Collection


class GateRecord(BaseModel):
    """What the gate found of the engine; see `GateVerdict`."""

    model_config = ConfigDict(frozen=True)
    kl: float
    same: float = 0.0
    agreement: float
    near_tie: float = 0.0  # an older store does not say it: as if it had been none, which passes no gate


class FillRecord(BaseModel):
    """One filling.

    Attributes:
        recipe: the recipe's name.
        source: what it calls the source.
        views: which views of an image; see `LabelPlan.views_as_json`.
        images: how many.
        images_sha256: which; see `LabelQuery.images_sha256`. An older store does not say it.
        temperature: at which top_k was judged.
        threads: torch's.
        images_per_second: the engine's, if it was measured.
        gate: what was found of the engine, if it was judged.
    """

    model_config = ConfigDict(frozen=True)
    recipe: str
    source: str
    views: dict[str, Any]
    images: int
    images_sha256: str = ""
    temperature: float
    threads: int
    images_per_second: float | None = None
    gate: GateRecord | None = None


def fill_records(collection: Collection) -> list[FillRecord]:
    """The records of a collection, the first filling's first; one that cannot be read is left out."""
    found = []
    for fill in collection.fills:
        try:
            found.append(FillRecord.model_validate(fill))
        except ValidationError:
            continue
    return found
