"""The limits of the gate, which every engine of a source must pass."""

from __future__ import annotations

from pydantic import Field

from sskt_edge.recipe.part import Part


class GateOptions(Part):
    """How much a source engine may differ from torch in fp32, on views of the recipe.

    The first three keys judge the source's own logits; the next two judge what a probe makes of them, and count where
    only a probe reads the source. Of a source whose outputs are features, the last key judges the features themselves,
    in addition to the two of the probe.
    """

    kl: float = Field(0.004, ge=0, description="largest mean KL(torch, engine) of the softmax at T = 1, in nats")
    agreement: float = Field(
        0.97,
        ge=0,
        le=1,
        description="smallest share of views whose top class is torch's, or in a near tie with it",
    )
    near_tie: float = Field(
        1.0,
        gt=0,
        le=1,
        description="minimum probability ratio to the top class that still counts as a tie; 1 disables ties",
    )
    probe_kl: float = Field(
        0.004, ge=0, description="where a probe alone reads the source: largest mean KL of the probe's probabilities"
    )
    probe_agreement: float = Field(
        0.99, ge=0, le=1, description="where a probe alone reads the source: smallest share of equal decisions"
    )
    cosine: float = Field(0.99, ge=-1, le=1, description="for features: smallest mean cosine similarity to torch's")
