"""What a recipe says of a table of images, data.name = "table": which columns hold what."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sskt_edge.recipe.part import Part

Column = Annotated[str, Field(min_length=1)]


class TableOptions(Part):
    """The columns of a CSV or Parquet file, which data.root names.

    A row is an image. `classes` is one column whose cells name the image's classes, or a column for each class with 1
    (has it), 0 (has it not) or -1 (not known: neither the loss nor a figure counts it).
    """

    paths: Column = Field("path", description="the column of image files; a path is relative to the table's folder")
    classes: Column | Annotated[tuple[Column, ...], Field(min_length=1)] | Literal["*"] = Field(
        "classes", description="the column of class names; or a list of columns, one a class; *: all that are left over"
    )
    separator: str = Field("|", min_length=1, description="what stands between two classes of one cell")
    split: Column | None = Field(
        None, description="the column that says train, val or test; the column 'split' where the table has one"
    )
    weight: Column | None = Field(
        None, description="the column of how much an image counts; the column 'weight' where the table has one"
    )

    @model_validator(mode="after")
    def _columns_differ(self) -> TableOptions:
        classes = (self.classes,) if isinstance(self.classes, str) else self.classes
        named = [name for name in (self.paths, *classes, self.split, self.weight) if name is not None]
        twice = sorted({name for name in named if named.count(name) > 1})
        if twice:
            raise ValueError(f"one column cannot be two things: '{twice[0]}' is named twice")
        return self
