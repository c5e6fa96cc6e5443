"""The recipe's options for the probe method."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from sskt_edge.methods.sskt.options import BranchOptions
from sskt_edge.recipe.method import SourceMethodOptions
from sskt_edge.tasks.task import Task


class ProbeOptions(SourceMethodOptions):
    """The target learns class probabilities that a linear layer predicts from the sources' answers, on all images."""

    fits_probe: ClassVar[bool] = True
    own_terms: ClassVar[tuple[str, ...]] = ("probe",)

    name: Literal["probe"] = "probe"
    # benchmarks/results/probe_method.md: a larger alpha gained on flowers, and made short trainings on digits unstable.
    temperature: float = Field(2.0, gt=0, description="T of the probe's and the target's probabilities")
    alpha: float = Field(1.0, ge=0, description="the weight of the probe's term, T² times a KL divergence")
    loss: Literal["kl", "dkd", "dist", "standardised"] = Field(
        "kl", description="distance between the target and the probe; all but kl require one class per image"
    )
    weighting: Literal["equal", "confidence"] = Field(
        "equal",
        description="confidence: unlabelled images are weighted by the confidence of the probe; not with loss dist",
    )
    branches: BranchOptions | None = Field(
        None, description="a table with options of sskt: its branches are trained too, with their own alpha"
    )

    @model_validator(mode="after")
    def _weighs_images(self) -> ProbeOptions:
        if self.loss == "dist" and self.weighting == "confidence":
            raise ValueError(
                "loss = 'dist' compares the classes over a whole batch, so its images cannot be weighted; set "
                "weighting = 'equal', or another loss"
            )
        return self

    def check_task(self, task: Task) -> None:
        """Only the task's own divergence, with equal weights, is defined for several classes per image.

        Raises:
            ValueError: the options are for one class per image, and the task is not.
        """
        given = {"loss": (self.loss, "kl"), "weighting": (self.weighting, "equal")}
        for key, (value, every) in given.items():
            if value != every and not task.one_class:
                raise ValueError(
                    f"method.{key} = '{value}' is for one class per image, and task.name = '{task.name}'; "
                    f"set method.{key} = '{every}'"
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
