"""A result as stored in files: the task's metric on some images, with its interval."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sskt_edge.tasks.task import Scores

Share = Annotated[float, Field(ge=0, le=1)]
_Name = Annotated[str, Field(pattern=r"^[A-Za-z][ -~]{0,31}$")]


class Score(BaseModel):
    """The score of a network, in fractions of one.

    Attributes:
        metric: the name of the metric: "accuracy" or "mAP".
        images: the number of images that were scored.
        value: the value of the metric.
        interval: the 95 % interval for the true value, if the images are a random sample.
        further: other figures by name.
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
            raise ValueError(f"the ends of the interval are not in order: {list(self.interval)}")
        return self

    def __str__(self) -> str:
        """The score in words.

        >>> print(Score(metric="accuracy", images=100, value=0.5, interval=(0.404, 0.596), further={"top5": 0.75}))
        50.00% (95 % interval 40.4% to 59.6%) of 100 images, top5 75.00%
        """
        low, high = self.interval
        others = "".join(f", {name} {value:.2%}" for name, value in self.further.items())
        return f"{self.value:.2%} (95 % interval {low:.1%} to {high:.1%}) of {self.images:,} images{others}"


def score_from(scores: Scores) -> Score:
    """The part of a task's scores that is stored."""
    return Score(
        metric=scores.metric,
        images=scores.images,
        value=scores.value,
        interval=scores.interval,
        further=dict(scores.further),
    )
