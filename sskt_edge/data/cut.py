"""Cutting views out of images: whole batches, in whole numbers, so that every machine gets the same pixels."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray


def cut_views(
    images: NDArray[np.uint8], rows: NDArray[np.intp], views: NDArray[np.int32], side: int
) -> NDArray[np.uint8]:
    """Cut one view of each row.

    Args:
        images: uint8 [N,S,S,3], squares of any side S.
        rows: [B], which images.
        views: int32 [B,5], (y, x, height, width, flip) in pixels of a side × side image; scaled here to S.
        side: the unit of the views.

    Returns:
        uint8 [B,S,S,3]. Outside the image is black. A region of another size is resized bilinearly to S × S.
    """
    own = images.shape[1]
    batch = images[rows]
    if (views[:, 2:4] == side).all():
        batch = _moved(batch, _scaled(views[:, 0], own, side), _scaled(views[:, 1], own, side))
    else:
        batch = _resized(batch, views[:, 0] * own / side, views[:, 2] * own / side, axis=1)
        batch = _resized(batch, views[:, 1] * own / side, views[:, 3] * own / side, axis=2)
    flipped = np.flatnonzero(views[:, 4])
    batch[flipped] = batch[flipped, :, ::-1]
    return batch


def _scaled(offsets: NDArray[np.int32], own: int, side: int) -> NDArray[np.int64]:
    """Pixels of a side × side image → nearest pixels of an own × own one (halves away from minus infinity)."""
    return (2 * offsets.astype(np.int64) * own + side) // (2 * side)


def _moved(batch: NDArray[np.uint8], y: NDArray[np.int64], x: NDArray[np.int64]) -> NDArray[np.uint8]:
    """[B,S,S,3] moved by y and x pixels, black flowing in."""
    count, own = batch.shape[:2]
    margin = int(max(np.abs(y).max(initial=0), np.abs(x).max(initial=0)))
    if margin == 0:
        return batch
    padded = np.zeros((count, own + 2 * margin, own + 2 * margin, 3), dtype=np.uint8)
    padded[:, margin : margin + own, margin : margin + own] = batch
    # Rows of pixels are contiguous bytes: a window over the flattened rows copies each with one memcpy.
    flat = padded.reshape(count, own + 2 * margin, -1)
    windows = sliding_window_view(flat, (own, 3 * own), axis=(1, 2))
    moved = windows[np.arange(count), y + margin, 3 * (x + margin)]
    return np.ascontiguousarray(moved).reshape(count, own, own, 3)


def _resized(
    batch: NDArray[np.uint8], start: NDArray[np.float64], length: NDArray[np.float64], axis: int
) -> NDArray[np.uint8]:
    """Stretch [start, start + length) of `axis` (1 rows, 2 columns) over the whole axis, in 8-bit fixed point."""
    own = batch.shape[axis]
    centres = start[:, None] + (np.arange(own) + 0.5) * (length[:, None] / own) - 0.5
    low_end, high_end = np.ceil(start)[:, None], np.floor(start + length - 1)[:, None]
    fixed = np.rint(np.clip(centres, low_end, np.maximum(low_end, high_end)) * 256).astype(np.int64)
    low = np.clip(fixed >> 8, 0, own - 1)
    shape = (len(batch), own, 1, 1) if axis == 1 else (len(batch), 1, own, 1)
    weight = (fixed & 255).astype(np.uint16).reshape(shape)
    first, second = _lines(batch, low, axis), _lines(batch, np.minimum(low + 1, own - 1), axis)
    # 255 * 256 + 128 still fits 16 bits.
    mixed: NDArray[np.uint8] = ((first * (256 - weight) + second * weight + np.uint16(128)) >> 8).astype(np.uint8)
    return mixed


def _lines(batch: NDArray[np.uint8], at: NDArray[np.int64], axis: int) -> NDArray[np.uint8]:
    """Batch [B,S,S,3], at [B,S] → the rows (axis 1) or columns (axis 2) `at` of every image."""
    places = at[:, :, None, None] if axis == 1 else at[:, None, :, None]
    lines: NDArray[np.uint8] = np.take_along_axis(batch, places, axis=axis)
    return lines
