"""The record of a filling, for the list of collections and for the next filling."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from sskt_edge.sources.store.collection import Collection

JudgeName = Literal["logits", "probe", "features"]


class JudgedBy(NamedTuple):
    """The kind of a finding.

    Attributes:
        judge: what was compared: the source's own logits, what a probe makes of them, or features and their probe.
        labelled: the identity of the labelled images that the probe was fitted on; "" if there was none.
    """

    judge: JudgeName
    labelled: str = ""


class GateRecord(BaseModel):
    """The gate's findings about an engine; see `GateVerdict`."""

    model_config = ConfigDict(frozen=True)
    kl: float
    same: float = 0.0
    agreement: float
    near_tie: float = 0.0  # missing in an older store, and 0 of a probe: 0 passes no gate of logits in any version
    judge: JudgeName = "logits"
    labelled: str = ""
    cosine: float | None = None

    @property
    def judged_by(self) -> JudgedBy:
        """The kind of the finding."""
        return JudgedBy(self.judge, self.labelled)


class FillRecord(BaseModel):
    """One filling.

    Attributes:
        recipe: the recipe's name.
        source: the source's name in the recipe.
        views: the views of an image; see `LabelPlan.views_as_json`.
        images: the number of images.
        images_sha256: their identity; see `LabelQuery.images_sha256`. An older store does not have it.
        temperature: the T at which top_k was judged.
        threads: the number of torch's threads.
        images_per_second: the engine's speed, if it was measured.
        gate: the gate's findings about the engine, if it was judged.
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
    """The records of a collection in the order of the fillings; those that cannot be read are left out."""
    found = []
    for fill in collection.fills:
        try:
            found.append(FillRecord.model_validate(fill))
        except ValidationError:
            continue
    return found


def speed_of(collection: Collection | None) -> float | None:
    """Images per second, as last measured for a collection; None if it never was."""
    measured = [record.images_per_second for record in fill_records(collection)] if collection else []
    known = [speed for speed in measured if speed]
    return known[-1] if known else None
