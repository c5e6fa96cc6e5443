"""Random changes of the target's input: brightness, contrast and saturation, and erased rectangles.

They come after the views, and the sources never see them. Whole batches are changed in a few operations.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.recipe.input_options import InputOptions
from sskt_edge.training.draws import Purpose, generator

# The weights of red, green and blue in the grey value, by ITU-R BT.601.
_GREY = (0.299, 0.587, 0.114)
_RATIO = 10 / 3  # tallest and widest shape of an erased rectangle, as in the paper
_WORDS = 8  # random numbers per image: three factors; whether it is erased, and four for the rectangle


class Changes(NamedTuple):
    """The changes of the N images of a batch.

    Attributes:
        factors: float32 [N,3], of brightness, contrast and saturation; None if colours stay the same.
        erased: int64 [N,4], the rectangle (y, x, height, width) of each image, which may be empty; None if there are
            none.
    """

    factors: NDArray[np.float32] | None = None
    erased: NDArray[np.int64] | None = None


def draw_changes(options: InputOptions, seed: int, step: int, images: int, size: int) -> Changes:
    """Draw the changes of a step's images. They depend only on these arguments, not on earlier draws.

    Args:
        options: the recipe's train.input.
        seed: the training seed.
        step: the number of the step since the beginning of the training.
        images: N, how many images the batch has.
        size: the size of the target's input, in pixels.
    """
    if not options.changes_colours and options.erasing == 0:
        return Changes()
    uniform = generator(seed, Purpose.INPUT, step).random((images, _WORDS))
    largest = np.array([options.brightness, options.contrast, options.saturation])
    factors = (1 + largest * (2 * uniform[:, :3] - 1)).astype(np.float32)
    return Changes(
        factors if options.changes_colours else None,
        _rectangles(uniform[:, 3:], options, size) if options.erasing > 0 else None,
    )


def changed_input(images: Tensor, pixels: Pixels, changes: Changes) -> Tensor:
    """The target's input, changed. uint8 [N,S,S,3] → float32 [N,3,S,S]; all frames of a clip are changed alike.

    Erased pixels get the mean colour, `target.mean`, which is 0 in the target's input. Random erasing: Zhong et al.,
    2020, "Random Erasing Data Augmentation", with the mean instead of random values.
    """
    if changes.factors is not None:
        images = with_factors(images, torch.from_numpy(changes.factors).to(images.device))
    planes: Tensor = pixels(images)
    if changes.erased is None:
        return planes
    inside = _inside(torch.from_numpy(changes.erased).to(planes.device), planes.shape[-1])
    return planes.masked_fill_(inside.reshape(len(planes), *[1] * (planes.dim() - 3), *inside.shape[1:]), 0.0)


def with_factors(images: Tensor, factors: Tensor) -> Tensor:
    """Blend each image with its grey version, then with its mean grey value, then with black; clip to 0…255.

    These are torchvision's adjust_saturation, adjust_contrast and adjust_brightness in this order, with one clipping
    at the end, which makes all of it one weighted sum per pixel.

    Args:
        images: [N,…,3], from 0 to 255.
        factors: float32 [N,3], of brightness, contrast and saturation; 1 changes nothing.

    Returns:
        float32 [N,…,3], not rounded.
    """
    shape = images.shape
    colours = images.reshape(len(images), -1, 3).transpose(1, 2)
    colours = colours.to(torch.float32, memory_format=torch.contiguous_format)  # whole channels, which is faster
    brightness, contrast, saturation = factors.T.unsqueeze(2)
    grey = sum(weight * colours[:, channel] for channel, weight in enumerate(_GREY))
    assert isinstance(grey, Tensor)
    mean = grey.mean(dim=1, keepdim=True)
    grey *= brightness * contrast * (1 - saturation)
    grey += brightness * (1 - contrast) * mean
    colours *= (brightness * contrast * saturation).unsqueeze(1)
    colours += grey.unsqueeze(1)
    return colours.clamp_(0, 255).transpose(1, 2).reshape(shape)


def _rectangles(uniform: NDArray[np.float64], options: InputOptions, size: int) -> NDArray[np.int64]:
    """(y, x, height, width) from five numbers each: area uniform, log of the shape uniform, place uniform. [N,5]."""
    share = options.erasing_area[0] + (options.erasing_area[1] - options.erasing_area[0]) * uniform[:, 1]
    shape = np.exp((2 * uniform[:, 2] - 1) * np.log(_RATIO))
    is_erased = uniform[:, 0] < options.erasing
    height, width = (
        np.where(is_erased, np.clip(np.rint(size * side), 1, size), 0)
        for side in (np.sqrt(share / shape), np.sqrt(share * shape))
    )
    y, x = ((uniform[:, place] * (size - side + 1)).astype(np.int64) for place, side in ((3, height), (4, width)))
    return np.stack([y, x, height.astype(np.int64), width.astype(np.int64)], axis=1)


def _inside(rectangles: Tensor, size: int) -> Tensor:
    """Which pixels lie in each image's rectangle. int64 [N,4] → bool [N,S,S]."""
    places = torch.arange(size, device=rectangles.device)
    y, x, height, width = rectangles.T.unsqueeze(2)
    rows, columns = ((places >= start) & (places < start + side) for start, side in ((y, height), (x, width)))
    inside: Tensor = rows.unsqueeze(2) & columns.unsqueeze(1)
    return inside
