from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from sskt_edge.common.errors import DataError
from sskt_edge.images.formats import image_endings, readable_formats, remedy
from sskt_edge.images.listing import list_images, load


def test_every_file_that_is_taken_can_be_decoded(tmp_path: Path) -> None:
    grey = Image.fromarray(np.full((6, 8), 200, dtype=np.uint8))
    known = Image.registered_extensions()
    for ending in image_endings():
        image = grey.convert("1" if ending == ".pbm" else "L" if ending == ".pgm" else "RGB")
        image.save(tmp_path / f"1{ending.upper()}", known[ending])

    loaded = load(list_images(tmp_path), [6])

    assert {path.suffix.lower() for path in loaded.paths} == image_endings()
    assert loaded.resized[6].shape == (len(image_endings()), 6, 6, 3)


def test_what_this_pillow_reads_is_taken_and_nothing_else() -> None:
    assert {".jpg", ".jpeg", ".jpe", ".jfif", ".png"} <= image_endings()
    modules = {**features.modules, **features.codecs}
    for ending, name, library in ((".avif", "AVIF", "avif"), (".jp2", "JPEG2000", "jpg_2000")):
        reads = library in modules and bool(features.check(library))
        assert (ending in image_endings()) is (name in readable_formats()) is reads
    assert (".heic" in image_endings()) is (find_spec("pillow_heif") is not None)
    assert not {".eps", ".pdf", ".tga", ".svg", ".txt", ""} & image_endings()


def test_a_format_outside_the_list_is_not_decoded_under_any_name(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "1.tga")
    (tmp_path / "1.tga").rename(tmp_path / "1.jpg")

    with pytest.raises(DataError, match="not an image"):
        load(list_images(tmp_path), [4])


def test_a_remedy_is_given_for_images_and_for_nothing_else() -> None:
    assert "pillow-heif" in remedy(".heic") and "Pillow" in remedy(".avif")
    assert "JPEG" in remedy(".cr2")
    assert remedy(".txt") == remedy("") == ""
