"""Small tables of images for the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from sskt_edge.data.readers import Reader
from sskt_edge.data.table import TableReader
from sskt_edge.recipe.table import TableOptions
from sskt_edge.tasks.single_label import SINGLE_LABEL
from sskt_edge.tasks.task import Task
from tests.data.small import folder_data, picture

# The rows of 24 images, of one class each and of any number.
SINGLE = [f"img/{number:02}.png,{('cat', 'dog', 'emu')[number % 3]}" for number in range(24)]
SEVERAL = [f"img/{number:02}.png,{('cat', 'dog', 'cat|dog', '')[number % 4]}" for number in range(24)]


def table(folder: Path, heads: str, *rows: str, images: int = 24) -> Path:
    """folder/labels.csv, and folder/img/00.png, 01.png, … next to it."""
    (folder / "img").mkdir(parents=True, exist_ok=True)
    for number in range(images):
        Image.fromarray(picture(number)).save(folder / "img" / f"{number:02}.png")
    (folder / "labels.csv").write_text("\n".join([heads, *rows]) + "\n", encoding="utf-8")
    return folder / "labels.csv"


def reader(path: Path, task: Task = SINGLE_LABEL, options: dict[str, Any] | None = None, **keys: Any) -> Reader:
    return TableReader(folder_data(path, **keys), TableOptions.model_validate(options or {}), task)
