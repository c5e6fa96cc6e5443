"""One result as files keep it: the task's metric of some images, with its interval."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sskt_edge.tasks.task import Scores

Share = Annotated[float, Field(ge=0, le=1)]
_Name = Annotated[str, Field(pattern=r"^[A-Za-z][ -~]{0,31}$")]


class Score(BaseModel):
    """What a network reaches, as shares of one.

    Attributes:
        metric: what the value is called: "accuracy" or "mAP".
        images: how many were scored.
        value: the metric.
        interval: where the true value lies, with 95 %, if the images are a fair draw.
        further: other figures by their names.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    metric: _Name
    images: Annotated[int, Field(ge=1, lt=1 << 62)]
    value: Share
    interval: tuple[Share, Share]
    further: dict[_Name, Share] = {}

    @model_validator(mode="after")
    def _in_order(self) -> Score:
        if self.interval[0] > self.interval[1]:
            raise ValueError(f"the interval's ends are not in order: {list(self.interval)}")
        return self

    def __str__(self) -> str:
        """As a person reads it.

        >>> print(Score(metric="accuracy", images=100, value=0.5, interval=(0.404, 0.596), further={"top5": 0.75}))
        50.00% (95 % interval 40.4% to 59.6%) of 100 images, top5 75.00%
        """
        low, high = self.interval
        others = "".join(f", {name} {value:.2%}" for name, value in self.further.items())
        return f"{self.value:.2%} (95 % interval {low:.1%} to {high:.1%}) of {self.images:,} images{others}"


def score_from(scores: Scores) -> Score:
    """What is kept of a task's scores."""
    return Score(
        metric=scores.metric,
        images=scores.images,
        value=scores.value,
        interval=scores.interval,
        further=dict(scores.further),
    )
