"""Mixup and CutMix: each image of a batch is mixed with another one, and so are the losses by their labels.

The loss of a mixed batch is λ times the losses by the labels of the images, plus 1 - λ times those by the labels of the
images that they are mixed with. Soft labels take part in the same way, so methods and tasks need not know of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sskt_edge.recipe.input_options import MixingOptions
from sskt_edge.training.draws import Purpose, generator


class Taught(NamedTuple):
    """What a batch of B + U images is taught, on the training's device.

    Attributes:
        labels: the labels of the B labelled images, in the task's form.
        soft: source → its logits, float32 [B+U,C].
        weights: float32 [B], the weight of each labelled image; None if all have the same.
    """

    labels: Tensor
    soft: Mapping[str, Tensor]
    weights: Tensor | None = None

    def of(self, partners: Tensor) -> Taught:
        """The same of each image's partner. int64 [B+U]; the first B are those of labelled images."""
        labelled = partners[: len(self.labels)]
        soft = {name: logits[partners] for name, logits in self.soft.items()}
        return Taught(self.labels[labelled], soft, None if self.weights is None else self.weights[labelled])


class Mix(NamedTuple):
    """How the images of a batch are mixed.

    Attributes:
        share: λ, the share of each image itself; the rest is its partner's.
        partners: int64 [B+U], the image that each one is mixed with; labelled images have labelled ones.
        pasted: CutMix's rectangle (top, bottom, left, right), which shows the partner; None for mixup.
    """

    share: float
    partners: NDArray[np.int64]
    pasted: tuple[int, int, int, int] | None


def draw_mix(options: MixingOptions, seed: int, step: int, labelled: int, images: int, size: int) -> Mix | None:
    """Draw how a step's batch is mixed; None if it is not. It depends only on these arguments.

    Args:
        options: the recipe's train.mixing.
        seed: the training seed.
        step: the number of the step since the beginning of the training.
        labelled: B, how many of the images are labelled; they come first.
        images: B + U, how many images the batch has.
        size: the size of the target's input, in pixels.
    """
    if options.mixup == options.cutmix == 0:
        return None
    random = generator(seed, Purpose.MIXING, step)
    is_mixed, by_cutmix, y, x = random.random(4).tolist()
    if is_mixed >= options.batches:
        return None
    partners = np.append(random.permutation(labelled), labelled + random.permutation(images - labelled))
    if options.cutmix > 0 and (options.mixup == 0 or by_cutmix < 0.5):
        return _cutmix(random.beta(options.cutmix, options.cutmix), y, x, partners, size)
    return Mix(random.beta(options.mixup, options.mixup), partners, None)


def mixed_input(planes: Tensor, mix: Mix | None) -> Tensor:
    """The target's input for a mixed batch, float32 [B+U,3,…,S,S]; `planes` is changed in place.

    Mixup: λ·image + (1 - λ)·partner (Zhang et al., 2018, "mixup: Beyond Empirical Risk Minimization"). CutMix: a
    rectangle of the partner, at its place (Yun et al., 2019, "CutMix: Regularization Strategy to Train Strong
    Classifiers with Localizable Features"). The frames of a clip are mixed alike.
    """
    if mix is None:
        return planes
    partners = torch.from_numpy(mix.partners).to(planes.device)
    if mix.pasted is None:
        return planes.lerp_(planes[partners], 1 - mix.share)
    top, bottom, left, right = mix.pasted
    shown = planes[..., top:bottom, left:right]
    shown.copy_(shown[partners])
    return planes


def mixed_terms(
    mix: Mix | None, taught: Taught, terms_by: Callable[[Taught], dict[str, Tensor]]
) -> tuple[dict[str, Tensor], Tensor]:
    """The loss terms of a batch, and the labels of the larger share of each labelled image.

    Args:
        mix: how the batch is mixed; None if it is not.
        taught: what its images are taught.
        terms_by: the loss terms of the outputs for the mixed images by given labels: means over the batch. The sum of
            the weights of its images is the same for the images and for their partners, so λ and 1 - λ stay the shares.
    """
    if mix is None:
        return terms_by(taught), taught.labels
    others = taught.of(torch.from_numpy(mix.partners).to(taught.labels.device))
    ours, theirs = terms_by(taught), terms_by(others)
    terms = {name: mix.share * ours[name] + (1 - mix.share) * theirs[name] for name in ours}
    return terms, (taught if mix.share >= 0.5 else others).labels


def _cutmix(share: float, y: float, x: float, partners: NDArray[np.int64], size: int) -> Mix:
    """A rectangle of 1 - share of the area around a uniform centre, cut at the image's edges; λ is what it leaves."""
    side = int(size * np.sqrt(1 - share))
    top, left = int(y * size) - side // 2, int(x * size) - side // 2
    bottom, right = min(top + side, size), min(left + side, size)
    top, left = max(top, 0), max(left, 0)
    return Mix(1 - (bottom - top) * (right - left) / size**2, partners, (top, bottom, left, right))
