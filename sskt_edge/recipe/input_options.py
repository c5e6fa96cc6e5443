"""The keys of a recipe that vary the target's input in training, without asking a source again."""

from __future__ import annotations

from pydantic import Field, model_validator

from sskt_edge.recipe.part import Part, Share


class InputOptions(Part):
    """Random changes of the target's input in training; the sources' labels stay those of the unchanged view.

    The keys of stored labels do not depend on this table.
    """

    brightness: Share = Field(0.0, description="factors of brightness are uniform in 1 ± this; 0 = unchanged")
    contrast: Share = Field(0.0, description="factors of contrast are uniform in 1 ± this; 0 = unchanged")
    saturation: Share = Field(0.0, description="factors of colour saturation are uniform in 1 ± this; 0 = unchanged")
    erasing: float = Field(0.0, ge=0, le=1, description="share of the images of which a random rectangle is erased")
    erasing_area: tuple[float, float] = Field(
        (0.02, 0.33), description="smallest and largest share of the image that an erased rectangle covers"
    )

    @model_validator(mode="after")
    def _area(self) -> InputOptions:
        if not 0 < self.erasing_area[0] <= self.erasing_area[1] < 1:
            raise ValueError("erasing_area: expected shares of the area, 0 < smallest <= largest < 1")
        return self

    @property
    def changes_colours(self) -> bool:
        """Whether brightness, contrast or saturation vary."""
        return max(self.brightness, self.contrast, self.saturation) > 0


class MixingOptions(Part):
    """Each image of a batch is mixed with another one; so are the losses by its labels and its soft labels.

    If both ways are on, each mixed batch takes one of them by chance.
    """

    mixup: float = Field(
        0.0, ge=0, le=100, description="blend images by a weight drawn from Beta(this, this); 0 = no mixup"
    )
    cutmix: float = Field(
        0.0, ge=0, le=100, description="paste a rectangle, its share of the area drawn from Beta(this, this); 0 = none"
    )
    batches: float = Field(1.0, gt=0, le=1, description="share of the batches that are mixed")
