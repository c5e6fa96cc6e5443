from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.targets.reference import reference_logits
from sskt_edge.targets.spec import target_spec


def test_reference_logits_are_the_network_behind_its_pixels_in_eval_mode() -> None:
    network, pixels = target_spec("resnet20").build(4).train(), Pixels(8)
    images = np.random.default_rng(0).integers(0, 256, (70, 8, 8, 3), dtype=np.uint8)  # more than one batch

    logits = reference_logits(network, pixels, images)

    assert not network.training
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(logits), network(pixels(torch.from_numpy(images))))
    assert logits.dtype == np.float32


def test_reference_logits_repeat_to_the_bit_whatever_the_layout() -> None:
    network, pixels = target_spec("resnet20").build(4), Pixels(16)
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    before = reference_logits(network, pixels, images)

    after = reference_logits(network.to(memory_format=torch.channels_last), pixels, images)

    assert np.array_equal(before, after)


def test_another_forward_is_asked_instead() -> None:
    network, pixels = target_spec("resnet20").build(4), Pixels(8)
    images = np.zeros((2, 8, 8, 3), dtype=np.uint8)

    def doubled(planes: Tensor) -> Tensor:
        logits: Tensor = 2 * network(planes)
        return logits

    assert np.array_equal(
        reference_logits(network, pixels, images, forward=doubled), 2 * reference_logits(network, pixels, images)
    )
