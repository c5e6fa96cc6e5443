"""The only reader of images: every file becomes an upright 8-bit RGB image, then a square."""

from __future__ import annotations

import io
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, UnidentifiedImageError

from sskt_edge.common.errors import DataError
from sskt_edge.common.printable import printable
from sskt_edge.images.formats import readable_formats

MAX_PIXELS = 178_956_970 // 2
"""An image with more pixels is refused before it is decoded (a small file may decode to more than the memory)."""

STRIP = 1_000_000
"""Pixels per strip. Images that need several copies on their way to RGB are converted strip by strip."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(content: bytes, where: str) -> Image.Image:
    """The bytes of an image file → an upright RGB image (the first frame of an animation).

    Transparency is blended with white, 16-bit grey is scaled to 8 bits, and the EXIF orientation is applied.

    Args:
        content: the file's bytes.
        where: the file's name, for messages.

    Raises:
        DataError: the file is empty, truncated, too large, of an unknown format, or has values of an unknown range.
    """
    if not content:
        raise DataError(f"'{where}' is empty (0 bytes). Copy or download the file again.")
    try:
        with Image.open(io.BytesIO(content), formats=readable_formats()) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            image.load()
            turn = _UPRIGHT.get(_orientation(image))
            rgb = _rgb(image, where)
            return rgb if turn is None else rgb.transpose(turn)
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(
            f"'{where}' has more than {MAX_PIXELS:,} pixels, which is the limit. Scale the image down."
        ) from error
    except UnidentifiedImageError as error:
        raise DataError(
            f"'{where}' is not an image that can be read ({len(content)} bytes). "
            f"Known formats: {', '.join(readable_formats())}."
        ) from error
    except Exception as error:  # Pillow's readers raise any kind of exception for a broken file.
        reason = str(error) or type(error).__name__
        raise DataError(f"'{where}' is broken or truncated: {reason}. Copy or download the file again.") from error


def to_square(image: Image.Image, side: int) -> npt.NDArray[np.uint8]:
    """Resize the short side to `side` (bilinear, antialiased) and crop the centre. RGB → uint8 [side,side,3].

    The crop is made while resizing, so a long thin image costs no more than a square one.
    """
    width, height = image.size
    short = min(width, height)
    wide, high = side * width // short, side * height // short
    left, top = round((wide - side) / 2), round((high - side) / 2)
    box = (left * width / wide, top * height / high, (left + side) * width / wide, (top + side) * height / high)
    return np.array(image.resize((side, side), Image.Resampling.BILINEAR, box=box), dtype=np.uint8)


def read_image(path: Path) -> tuple[bytes, Image.Image]:
    """A file's bytes and its upright RGB image, read once.

    Raises:
        DataError: the file is missing, is not a file (a pipe or a device has no end), or cannot be read as an image.
    """
    try:
        if not _is_file(path):
            raise DataError(f"'{path}' is a folder, a pipe or a device; expected an image file. Check the path.")
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"'{printable(path)}' cannot be read: {error.strerror or error}. Check the path.") from error
    return content, decode(content, printable(path))


def read_square(path: Path | str, side: int) -> npt.NDArray[np.uint8]:
    """An image file → uint8 [side,side,3].

    Raises:
        DataError: the file is missing or cannot be read as an image.
    """
    return to_square(read_image(Path(path))[1], side)


def short_side(path: Path) -> int:
    """The short side of an image, from the file header alone; 0 if it is not an image, which decoding will report."""
    return min(size_of(path))


def size_of(path: Path) -> tuple[int, int]:
    """Width and height as stored in the file, from its header alone; (0, 0) if it is not an image."""
    try:
        if not _is_file(path):
            return 0, 0
        with Image.open(path, formats=readable_formats()) as image:
            return image.size
    except Exception:
        return 0, 0


def _is_file(path: Path) -> bool:
    """Whether it is a regular file, or a link to one.

    Raises:
        OSError: the file does not exist, or it cannot be examined.
    """
    return stat.S_ISREG(path.stat().st_mode)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1 (upright) if the EXIF block is broken, since the pixels are still good."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        return 1


def _rgb(image: Image.Image, where: str) -> Image.Image:
    """Any mode of Pillow → RGB."""
    if image.mode == "F":
        raise DataError(f"'{where}' holds floats, whose range is unknown. Save it with 8 or 16 bits per channel.")
    if image.mode.startswith("I"):
        _refuse_wide_values(image, where)
        return _in_strips(image, _from_16_bits)
    if image.has_transparency_data:
        return _in_strips(image, _on_white)
    return image if image.mode == "RGB" else image.convert("RGB")


def _in_strips(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Convert each strip of a few rows to RGB, so that intermediate steps take the memory of only one strip."""
    if image.width * image.height <= STRIP:
        return convert(image)
    whole = Image.new("RGB", image.size)
    for strip, top in _strips(image):
        whole.paste(convert(strip), (0, top))
    return whole


def _strips(image: Image.Image) -> Iterator[tuple[Image.Image, int]]:
    """The strips of the image, each with its top row."""
    rows = max(1, STRIP // image.width)
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height))), top


def _on_white(image: Image.Image) -> Image.Image:
    page = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(page, image.convert("RGBA")).convert("RGB")


def _refuse_wide_values(image: Image.Image, where: str) -> None:
    """Refuse values outside 0…65535, which a file of 32 bits may hold."""
    if image.mode != "I":
        return
    ends = [(int(values.min()), int(values.max())) for values in (np.asarray(strip) for strip, _ in _strips(image))]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    if low < 0 or high > 65535:
        raise DataError(f"'{where}' holds values from {low} to {high}; expected 0 to 65535. Save it with 8 or 16 bits.")


def _from_16_bits(image: Image.Image) -> Image.Image:
    """0…65535 → 0…255, rounded. Pillow's own conversion would clip at 255."""
    values = np.asarray(image).astype(np.uint32)  # 65535·255 + 32767 fits
    return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8)).convert("RGB")
