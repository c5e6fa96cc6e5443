"""Cutting views out of images: whole batches, in integer arithmetic, so that every machine gets the same pixels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray


def cut_views(
    images: NDArray[np.uint8], rows: NDArray[np.intp], views: NDArray[np.int32], unit: int
) -> NDArray[np.uint8]:
    """Cut one view for each row.

    Args:
        images: uint8 [N,S,S,3], images of any size S.
        rows: [B], which images.
        views: int32 [B,5], (y, x, height, width, flip) in pixels of a unit × unit image; scaled here to S.
        unit: the size of the images in whose pixels the views are measured.

    Returns:
        uint8 [B,S,S,3]. Outside the image is black. A region of another size is resized bilinearly to S × S.
    """
    own = images.shape[1]
    y, x, height, width, flip = views.T
    if (views[:, 2:4] == unit).all():
        batch = _moved(images, rows, _scaled(y, own, unit), _scaled(x, own, unit))
    else:
        vertical = _lines_between(y * own / unit, height * own / unit, own)
        horizontal = _lines_between(x * own / unit, width * own / unit, own)
        batch = _resized(images, rows, vertical, horizontal)
    _mirror(batch, np.flatnonzero(flip))
    return batch


def _scaled(offsets: NDArray[np.int32], own: int, unit: int) -> NDArray[np.int64]:
    """Pixels of a unit × unit image → nearest pixels of an own × own one (halves away from minus infinity)."""
    return (2 * offsets.astype(np.int64) * own + unit) // (2 * unit)


def _moved(
    images: NDArray[np.uint8], rows: NDArray[np.intp], y: NDArray[np.int64], x: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """[N,S,S,3] → [B,S,S,3], the rows shifted by y and x pixels and filled with black."""
    own = images.shape[1]
    out = np.zeros((len(rows), own, own, 3), dtype=np.uint8)
    seen, filled = (_spans(y, own), _spans(x, own)), (_spans(-y, own), _spans(-x, own))
    for row, seen_y, seen_x, target, to_y, to_x in zip(rows.tolist(), *seen, out, *filled, strict=True):
        target[to_y, to_x] = images[row, seen_y, seen_x]
    return out


def _spans(offsets: NDArray[np.int64], own: int) -> list[slice]:
    """The part of [offset, offset + own) that is not below 0; numpy itself clips at the upper end."""
    listed = offsets.tolist()
    of = {offset: slice(max(offset, 0), max(offset + own, 0)) for offset in set(listed)}
    return [of[offset] for offset in listed]


def _mirror(batch: NDArray[np.uint8], which: NDArray[np.intp]) -> None:
    """Turn the images `which` of [B,S,S,3] left to right, in place. Torch does it several times as fast as numpy."""
    planes = torch.from_numpy(batch[which]).permute(0, 3, 1, 2)
    batch[which] = planes.flip(3).permute(0, 2, 3, 1).numpy()


class _Lines(NamedTuple):
    """For each line of the output, the two lines of the image that it lies between, each [B,S].

    Attributes:
        first: the line before it.
        second: the line after it.
        weight: the weight of the second line, in 256ths.
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    weight: NDArray[np.uint16]


def _lines_between(start: NDArray[np.float64], length: NDArray[np.float64], own: int) -> _Lines:
    """[start, start + length) stretched over `own` lines, without using lines outside it. [B], [B] → [B,own]."""
    centres = start[:, None] + (np.arange(own) + 0.5) * (length[:, None] / own) - 0.5
    low_end, high_end = np.ceil(start)[:, None], np.floor(start + length - 1)[:, None]
    fixed = np.rint(np.clip(centres, low_end, np.maximum(low_end, high_end)) * 256).astype(np.intp)
    first = np.clip(fixed >> 8, 0, own - 1)
    return _Lines(first, np.minimum(first + 1, own - 1), (fixed & 255).astype(np.uint16))


def _resized(
    images: NDArray[np.uint8], rows: NDArray[np.intp], vertical: _Lines, horizontal: _Lines
) -> NDArray[np.uint8]:
    """[N,S,S,3] → [B,S,S,3], first along y, then along x. A row of pixels is handled as its 3·S bytes."""
    own = images.shape[1]
    lines, first_line = images.reshape(-1, 3 * own), rows[:, None] * own
    batch = _mixed(lines[first_line + vertical.first], lines[first_line + vertical.second], vertical.weight[:, :, None])
    first, second = (_columns(batch, at) for at in (horizontal.first, horizontal.second))
    return _mixed(first, second, np.repeat(horizontal.weight, 3, axis=1)[:, None]).reshape(-1, own, own, 3)


def _columns(batch: NDArray[np.uint8], at: NDArray[np.intp]) -> NDArray[np.uint8]:
    """The pixels `at` [B,S] of every row of their image, [B,S,3·S] → [B,S,3·S]."""
    bytes_at = (3 * at[:, :, None] + np.arange(3)).reshape(len(at), -1)
    out = np.empty_like(batch)
    for image, places, target in zip(batch, bytes_at, out, strict=True):
        np.take(image, places, axis=1, out=target, mode="clip")  # "raise" would use an extra buffer
    return out


def _mixed(first: NDArray[np.uint8], second: NDArray[np.uint8], weight: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """(first·(256 - weight) + second·weight) / 256, rounded: at most 255·256 + 128, which fits 16 bits."""
    mixed = first * (256 - weight)
    mixed += second * weight
    mixed += np.uint16(128)
    mixed >>= np.uint16(8)
    return mixed.astype(np.uint8)
