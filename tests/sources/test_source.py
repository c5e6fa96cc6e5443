from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sskt_edge.common.errors import DataError, NetworkError
from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.sources.source import TorchSource
from tests.sources.small import CPU, answers, images, network


def source(
    net: nn.Module | None = None, size: int = 32, name: str = "small", **pixels: tuple[float, ...]
) -> TorchSource:
    return TorchSource(name, "test/small", net or network(), Pixels(size, **pixels), CPU)


@pytest.mark.parametrize("side", [16, 32, 50])
def test_logits_are_the_networks_on_normalised_and_resized_images(side: int) -> None:
    net, shots = network().eval(), images(size=side)
    mean, std = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.4, 0.5, 0.6])
    planes = torch.from_numpy(shots).permute(0, 3, 1, 2).float()
    planes = nn.functional.interpolate(planes, size=(32, 32), mode="bilinear", align_corners=False)
    expected = net((planes / 255 - mean[:, None, None]) / std[:, None, None]).detach().numpy()
    asked = source(net, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    assert asked.classes == 5
    assert asked.input_size == 32
    answer = answers(asked, shots)
    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer, expected, rtol=1e-5, atol=1e-5)


def test_a_source_is_frozen_whatever_the_network_was() -> None:
    net = network().train()
    before = copy.deepcopy(net.state_dict())
    asked = source(net)
    first = answers(asked, images())
    assert np.array_equal(first, answers(asked, images()))  # no dropout
    assert not any(parameter.requires_grad for parameter in asked.network.parameters())
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_autocast_and_tf32_around_a_source_change_no_bit_and_come_back() -> None:
    asked = source()
    alone = answers(asked, images())
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32
    cudnn.allow_tf32 = matmul.allow_tf32 = True
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert np.array_equal(answers(asked, images()), alone)
        assert cudnn.allow_tf32
        assert matmul.allow_tf32
    finally:
        cudnn.allow_tf32, matmul.allow_tf32 = before


def test_half_precision_weights_answer_in_fp32() -> None:
    assert answers(source(network().half()), images()).dtype == np.float32


def test_read_only_and_mirrored_images_are_taken() -> None:
    shots = images()
    mirrored = shots[:, :, ::-1]
    shots.flags.writeable = False
    asked = source()
    assert np.array_equal(answers(asked, mirrored), answers(asked, np.ascontiguousarray(mirrored)))


def test_the_identity_is_of_what_a_source_is_not_of_what_it_is_called() -> None:
    assert source().identity == source(name="other").identity
    others = [
        source(network(seed=1)),
        source(size=40),
        source(mean=(0.5, 0.5, 0.5)),
        source(std=(0.5, 0.5, 0.5)),
        TorchSource("small", "test/other", network(), Pixels(32), CPU),
    ]
    identities = {source().identity, *(other.identity for other in others)}
    assert len(identities) == 1 + len(others)
    assert all(len(identity) == 64 for identity in identities)


def test_the_facts_are_json_and_name_all_that_the_identity_is_of() -> None:
    facts = source(mean=(0.1, 0.2, 0.3)).facts
    assert set(facts) == {"model", "weights", "input_size", "mean", "std", "batchnorm"}
    assert (facts["model"], facts["input_size"], facts["batchnorm"]) == ("test/small", 32, "frozen")
    assert json.loads(json.dumps(facts)) == facts


def test_images_that_are_no_bytes_are_refused() -> None:
    with pytest.raises(DataError, match="float64"):
        answers(source(), images() / 255)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="uint8"):
        answers(source(), images()[:, :20])


def test_a_size_that_the_network_cannot_take_is_met_when_it_is_opened() -> None:
    with pytest.raises(NetworkError, match=r"'small' does not take images of side 2: .*input_size"):
        source(size=2)


class _Pair(nn.Module):
    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        return planes.mean((2, 3)), planes.mean((2, 3))


@pytest.mark.parametrize(("net", "got"), [(_Pair(), "a tuple"), (nn.Conv2d(3, 4, 3), r"\[1, 4, 30, 30\]")])
def test_a_network_that_gives_no_logits_is_refused(net: nn.Module, got: str) -> None:
    with pytest.raises(NetworkError, match=f"output is {got}, expected"):
        source(net)
