"""Small images of many kinds for the tests of data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from sskt_edge.recipe.models import DataOptions


def folder_data(root: Path, **keys: Any) -> DataOptions:
    """An image folder's part of a recipe."""
    return DataOptions.model_validate({"name": "imagefolder", "root": str(root), "image_size": 16, **keys})


def picture(seed: int, height: int = 12, width: int = 12) -> npt.NDArray[np.uint8]:
    """uint8 [height,width,3] of noise."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def write_classes(root: Path, counts: Mapping[str, int], first: int = 0) -> Path:
    """root/<class>/<number>.png, every image another one."""
    number = first
    for name, count in counts.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for place in range(count):
            Image.fromarray(picture(number)).save(root / name / f"{place:03}.png")
            number += 1
    return root


def hashes_of(count: int) -> npt.NDArray[np.uint8]:
    """uint8 [count,32], each another one."""
    return np.random.default_rng(7).integers(0, 256, (count, 32), dtype=np.uint8)


def rows_of(images: npt.NDArray[np.uint8]) -> set[bytes]:
    """Hashable images, to compare as sets."""
    return {image.tobytes() for image in images}
