"""The recipe's options for the probe method."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from sskt_edge.methods.sskt.options import BranchOptions
from sskt_edge.recipe.method import SourceMethodOptions


class ProbeOptions(SourceMethodOptions):
    """The target learns the sources' opinion in the task's own classes, on labelled and unlabelled images."""

    fits_probe: ClassVar[bool] = True
    own_terms: ClassVar[tuple[str, ...]] = ("probe",)

    name: Literal["probe"] = "probe"
    temperature: float = Field(2.0, gt=0, description="T of the probe's and the target's probabilities")
    alpha: float = Field(1.0, ge=0, description="the weight of the probe's term, T² times a KL divergence")
    branches: BranchOptions | None = Field(
        None, description="a table with the options of sskt: its branches beside the probe, with their own alpha"
    )

    def check_labels(self, store: str | Literal[False], top_k: int) -> None:
        """A probe is fitted on stored logits, all of them.

        Raises:
            ValueError: nothing is stored, or only some logits.
        """
        if not store:
            raise ValueError(
                "method.name = 'probe' fits its probe on stored labels, and labels.store = false keeps none; name a "
                "folder: labels.store = 'labels'"
            )
        if top_k:
            raise ValueError(
                f"method.name = 'probe' needs all logits of a source, and labels.top_k = {top_k} keeps only some; set "
                f"labels.top_k = 0"
            )

    @property
    def reads_logits(self) -> bool:
        """Whether the sources' own classes are learned too, by branches."""
        return self.branches is not None
