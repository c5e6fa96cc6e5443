from __future__ import annotations

import io
import os
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from sskt_edge.common.errors import DataError
from sskt_edge.images import decode as images
from sskt_edge.images.decode import MAX_PIXELS, decode, read_square, short_side, to_square

PICTURE = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def pixels(content: bytes) -> npt.NDArray[np.uint8]:
    image = decode(content, "it")
    assert image.mode == "RGB"
    return np.asarray(image)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_lossless_rgb_is_read_exactly(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    assert np.array_equal(pixels(saved(Image.fromarray(PICTURE), kind, **options)), PICTURE)


def test_jpeg_is_read_as_pillow_reads_it() -> None:
    content = saved(Image.fromarray(PICTURE), "JPEG")
    assert np.array_equal(pixels(content), np.asarray(Image.open(io.BytesIO(content))))


@pytest.mark.parametrize("mode", ["1", "L"])
def test_grey_becomes_three_equal_channels(mode: str) -> None:
    grey = Image.fromarray(PICTURE[..., 0]).convert(mode)
    assert np.array_equal(pixels(saved(grey, "PNG")), np.asarray(grey.convert("L"))[..., None].repeat(3, 2))


WIDE = np.array([[0, 128, 129, 257], [1000, 32768, 65000, 65535]], dtype=np.uint16)
WIDE_AS_8_BITS = [[0, 0, 1, 1], [4, 128, 253, 255]]  # value / 257, rounded


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(lambda: saved(Image.fromarray(WIDE), "PNG"), id="png"),
        pytest.param(lambda: saved(Image.fromarray(WIDE), "TIFF"), id="tiff"),
        pytest.param(lambda: saved(Image.fromarray(WIDE.astype(np.int32)), "TIFF"), id="tiff-32-bit"),
        pytest.param(lambda: b"P5 4 2 65535\n" + WIDE.astype(">u2").tobytes(), id="pgm"),
    ],
)
def test_16_bit_grey_is_scaled_not_clipped(content: Callable[[], bytes]) -> None:
    assert pixels(content())[..., 0].tolist() == WIDE_AS_8_BITS


@pytest.mark.parametrize(
    "values", [np.full((2, 2), 70000, np.int32), np.full((2, 2), -1, np.int32), np.ones((2, 2), np.float32)]
)
def test_values_of_unknown_range_are_refused(values: npt.NDArray[Any]) -> None:
    with pytest.raises(DataError, match=r"'it' holds .*8 or 16 bits"):
        decode(saved(Image.fromarray(values), "TIFF"), "it")


TALL = np.random.default_rng(3).integers(0, 256, (31, 7, 4), dtype=np.uint8)
LARGE = {
    "16-bit": lambda: saved(Image.fromarray(TALL.view(np.uint16)[..., 0]), "PNG"),
    "32-bit": lambda: saved(Image.fromarray(TALL.view(np.uint16)[..., 1].astype(np.int32)), "TIFF"),
    "RGBA": lambda: saved(Image.fromarray(TALL), "PNG"),
    "LA": lambda: saved(Image.fromarray(TALL[..., :2]), "PNG"),
    "palette": lambda: saved(Image.fromarray(TALL[..., :3]).quantize(9), "PNG", transparency=bytes(range(0, 90, 10))),
    "colour": lambda: saved(Image.fromarray(TALL[..., :3] // 128 * 9), "PNG", transparency=(9, 9, 9)),
}


@pytest.mark.parametrize("kind", LARGE)
@pytest.mark.parametrize("strip", [1, 20, 216])
def test_a_large_image_is_converted_in_strips_to_the_same_pixels(
    kind: str, strip: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = LARGE[kind]()
    whole = pixels(content)
    monkeypatch.setattr(images, "STRIP", strip)
    assert np.array_equal(pixels(content), whole)


def test_16_bits_cost_few_bytes_a_pixel_on_their_way_to_8() -> None:
    content = saved(Image.fromarray(np.zeros((2000, 2000), dtype=np.uint16)), "PNG", compress_level=1)
    tracemalloc.start()
    try:
        decode(content, "it")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * 2000 * 2000


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparency_is_laid_on_white(mode: str) -> None:
    image = Image.new(mode, (3, 1))
    for x, alpha in enumerate((0, 255, 128)):
        image.putpixel((x, 0), (0, alpha) if mode == "LA" else (0, 0, 0, alpha))
    assert pixels(saved(image, "PNG")).tolist() == [[[255] * 3, [0] * 3, [127] * 3]]


@pytest.mark.parametrize("transparency", [0, b"\x00\xff"], ids=["one-index", "alpha-table"])
def test_a_palette_with_transparency_is_laid_on_white(transparency: int | bytes) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    assert pixels(saved(image, "PNG", transparency=transparency)).tolist() == [[[255] * 3, [40, 50, 60]]]


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_palette_without_transparency_gives_its_colours(kind: str) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    assert pixels(saved(image, kind)).tolist() == [[[10, 20, 30], [40, 50, 60]]]


@pytest.mark.parametrize("mode,transparency", [("L", 10), ("RGB", (10, 10, 10))])
def test_a_transparent_colour_is_laid_on_white(mode: str, transparency: int | tuple[int, int, int]) -> None:
    image = Image.new(mode, (2, 1), transparency)
    image.putpixel((1, 0), 99 if mode == "L" else (99, 99, 99))
    assert pixels(saved(image, "PNG", transparency=transparency)).tolist() == [[[255] * 3, [99] * 3]]


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])  # Adobe inverts CMYK in JPEG, and only there
def test_cmyk_red_is_red(kind: str) -> None:
    content = saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), kind)
    assert Image.open(io.BytesIO(content)).mode == "CMYK"
    assert np.abs(pixels(content).astype(int) - [255, 0, 0]).max() <= 3


TURNS: dict[int, Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.uint8]]] = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: np.rot90,
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", TURNS)
def test_exif_orientation_is_applied_once(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    content = saved(Image.fromarray(PICTURE), kind, exif=exif, **options)
    assert np.array_equal(pixels(content), TURNS[orientation](PICTURE))


def test_exif_orientation_of_a_jpeg_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(saved(Image.fromarray(PICTURE), "JPEG", exif=exif), "it").size == (5, 7)


def test_a_broken_exif_block_does_not_lose_the_image() -> None:
    content = saved(Image.fromarray(PICTURE), "PNG", exif=b"Exif\x00\x00nonsense")
    assert np.array_equal(pixels(content), PICTURE)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_gives_its_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    content = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert (pixels(content) == [255, 0, 0]).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM"])
def test_a_truncated_image_is_refused_by_name(kind: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    content = saved(Image.fromarray(noise), kind)
    with pytest.raises(DataError, match="'cut'"):
        decode(content[: len(content) // 2], "cut")


@pytest.mark.parametrize(
    "content,message", [(b"", "is empty"), (b"no image", "Known formats"), (b"\x89PNG", "formats")]
)
def test_what_is_no_image_is_refused_by_name(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=f"'that'.*{message}"):
        decode(content, "that")


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(MAX_PIXELS + 1, 1), (10_000, 10_000), (30_000, 30_000)])
def test_a_bomb_is_refused_before_it_unfolds(size: tuple[int, int]) -> None:
    with pytest.raises(DataError, match=f"'bomb' has more than {MAX_PIXELS:,} pixels"):
        decode(png_header(*size), "bomb")


def test_a_bomb_is_refused_where_warnings_are_errors() -> None:
    with pytest.raises(DataError, match="'bomb' has more"):
        decode(png_header(10_000, 10_000), "bomb")


@pytest.mark.parametrize("size", [(40, 40), (40, 61), (61, 40), (33, 32), (35, 32), (17, 90), (3, 4)])
def test_to_square_is_resize_then_centre_crop(size: tuple[int, int]) -> None:
    image = Image.fromarray(np.random.default_rng(2).integers(0, 256, (*size, 3), dtype=np.uint8))
    width, height = image.size
    scale = 16 / min(width, height)
    whole = image.resize((int(width * scale + 1e-9), int(height * scale + 1e-9)), Image.Resampling.BILINEAR)
    left, top = round((whole.width - 16) / 2), round((whole.height - 16) / 2)
    expected = np.asarray(whole.crop((left, top, left + 16, top + 16))).astype(int)
    square = to_square(image, 16)
    assert square.shape == (16, 16, 3) and square.dtype == np.uint8
    assert np.abs(square - expected).max() <= 1  # the last bit of a rounding


def test_an_image_of_the_right_size_stays_as_it_is() -> None:
    square = PICTURE[:5, :5]
    assert np.array_equal(to_square(Image.fromarray(square), 5), square)


def test_a_long_thin_image_costs_no_more_than_a_square_one() -> None:
    # Resized as a whole it would be 32 x 64 million pixels.
    assert (to_square(Image.new("RGB", (1, 2_000_000), "red"), 32) == [255, 0, 0]).all()


def test_read_square_reads_a_file(tmp_path: Path) -> None:
    Image.fromarray(PICTURE[:5, :5]).save(tmp_path / "a.png")
    assert np.array_equal(read_square(tmp_path / "a.png", 5), PICTURE[:5, :5])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.png' cannot be read: No such file"):
        read_square(tmp_path / "gone.png", 5)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_device_and_a_pipe_are_refused_and_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to(os.devnull)
    os.mkfifo(tmp_path / "b.png")
    for name in ("a.png", "b.png"):
        with pytest.raises(DataError, match=f"{name}' is a folder, a pipe or a device"):
            read_square(tmp_path / name, 5)
        assert short_side(tmp_path / name) == 0


def test_a_link_to_an_image_is_followed(tmp_path: Path) -> None:
    Image.fromarray(PICTURE[:5, :5]).save(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("a.png")
    assert np.array_equal(read_square(tmp_path / "b.png", 5), PICTURE[:5, :5])
    assert short_side(tmp_path / "b.png") == 5
