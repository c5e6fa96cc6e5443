from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sskt_edge.catalogue.inputs import INPUTS
from sskt_edge.common.errors import DataError, InputError
from sskt_edge.images.decode import read_square
from sskt_edge.images.read import read_file


def test_an_image_is_read_as_in_training(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    Image.fromarray(np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3)).save(file)
    assert np.array_equal(read_file(file, "image", (8, 8, 3)), read_square(file, 8))
    with pytest.raises(DataError, match=r"none\.png"):
        read_file(tmp_path / "none.png", "image", (8, 8, 3))


def test_an_unknown_kind_is_named_with_those_that_are_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"'film'.*{', '.join(INPUTS)}"):
        read_file(tmp_path / "a.gif", "film", (4, 8, 8, 3))
