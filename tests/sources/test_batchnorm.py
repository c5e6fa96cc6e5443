from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sskt_edge.common.errors import DataError, NetworkError
from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.sources.batchnorm import batches_for, recalibrate
from sskt_edge.sources.source import TorchSource
from tests.sources.small import CPU, answers, images, network


def source(net: nn.Module | None = None) -> TorchSource:
    return TorchSource("small", "test/small", net or network(), Pixels(32), CPU)


def test_the_statistics_become_those_of_the_images_and_nothing_else() -> None:
    asked, shots = source(), images(10)
    before = {key: value.clone() for key, value in asked.network.state_dict().items()}
    recalibrate(asked, [shots])
    features = asked.network.get_submodule("0")(asked.pixels(torch.from_numpy(shots)))
    after = asked.network.state_dict()
    torch.testing.assert_close(after["1.running_mean"], features.mean((0, 2, 3)))
    torch.testing.assert_close(after["1.running_var"], features.transpose(0, 1).flatten(1).var(1))
    changed = {key for key, value in after.items() if not torch.equal(value, before[key])}
    assert changed <= {"1.running_mean", "1.running_var", "1.num_batches_tracked"}


def test_every_image_weighs_the_same_however_the_batches_are_cut() -> None:
    whole, cut, shots = source(), source(), images(10)
    recalibrate(whole, [shots])
    recalibrate(cut, [shots[:9], shots[9:]])
    torch.testing.assert_close(whole.network.state_dict()["1.running_mean"], cut.network.state_dict()["1.running_mean"])


@pytest.mark.parametrize(("count", "sizes"), [(9, [4, 5]), (8, [4, 4]), (10, [4, 4, 2]), (1, [1]), (3, [3])])
def test_no_image_is_left_alone_in_a_batch(count: int, sizes: list[int]) -> None:
    """BatchNorm behind global pooling, as in MobileNetV4, takes no batch of one."""
    assert [len(batch) for batch in batches_for(images(count), 4)] == sizes


def test_a_recalibrated_source_is_frozen_again() -> None:
    asked, shots = source(), images()
    momentum = nn.BatchNorm2d(8).momentum
    recalibrate(asked, [shots])
    assert not any(module.training for module in asked.network.modules())
    assert asked.network.get_submodule("1").momentum == momentum
    alone = np.concatenate([answers(asked, shots[at : at + 1]) for at in range(len(shots))])
    np.testing.assert_allclose(alone, answers(asked, shots), rtol=1e-5, atol=1e-6)


def test_dropout_stays_off_and_no_random_number_is_drawn() -> None:
    deep = nn.Sequential(nn.Dropout(0.5), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    first, second = source(deep), source(deep)
    state = torch.random.get_rng_state()
    recalibrate(first, [images()])
    mean = deep[2].running_mean
    assert isinstance(mean, torch.Tensor)
    kept = mean.clone()
    recalibrate(second, [images()])
    assert torch.equal(kept, mean)
    assert torch.equal(state, torch.random.get_rng_state())


def test_the_identity_names_the_images() -> None:
    frozen, one, same, other = source(), source(), source(), source()
    recalibrate(one, [images()])
    recalibrate(same, [images()])
    recalibrate(other, [images(seed=1)])
    assert one.identity == same.identity
    assert len({frozen.identity, one.identity, other.identity}) == 3
    gained = {key for key in one.facts if one.facts[key] != frozen.facts.get(key)}
    assert gained == {"batchnorm", "images"}


def test_a_network_without_batchnorm_is_refused() -> None:
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(
        NetworkError, match=r"sources\.small\.batchnorm = 'recalibrated': this network has no BatchNorm"
    ):
        recalibrate(source(plain), [images()])


def test_no_images_are_refused() -> None:
    with pytest.raises(DataError, match="no images"):
        recalibrate(source(), [])
