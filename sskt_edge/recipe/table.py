"""The keys of a recipe for a table of images, data.name = "table": which columns hold what."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sskt_edge.recipe.part import Part

Column = Annotated[str, Field(min_length=1)]


class TableOptions(Part):
    """The columns of a CSV or Parquet file, which data.root names.

    Each row is an image. `classes` is one column whose cells name the image's classes, or one column per class with 1
    (has the class), 0 (does not have it) or -1 (not known: ignored by the loss and by all figures).
    """

    paths: Column = Field("path", description="the column of image files; a path is relative to the table's folder")
    classes: Column | Annotated[tuple[Column, ...], Field(min_length=1)] | Literal["*"] = Field(
        "classes", description="the column of class names; or a list of columns, one per class; *: all other columns"
    )
    separator: str = Field("|", min_length=1, description="the text between two classes in one cell")
    split: Column | None = Field(
        None,
        description="the column that holds train, val or test; by default the column 'split', if the table has one",
    )
    weight: Column | None = Field(
        None,
        description="the column of the weights of the images; by default the column 'weight', if the table has one",
    )

    @model_validator(mode="after")
    def _columns_differ(self) -> TableOptions:
        classes = (self.classes,) if isinstance(self.classes, str) else self.classes
        named = [name for name in (self.paths, *classes, self.split, self.weight) if name is not None]
        twice = sorted({name for name in named if named.count(name) > 1})
        if twice:
            raise ValueError(f"a column can have one role only: '{twice[0]}' is named twice")
        return self
