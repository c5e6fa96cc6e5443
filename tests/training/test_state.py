"""The state of a training in a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from sskt_edge.common.errors import RunError
from sskt_edge.training.state import TrainState, load_state, save_state


def stepped(seed: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(2))
    network(torch.randn(5, 3, 4, 4))
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1)
    network(torch.randn(5, 3, 4, 4)).sum().backward()
    optimizer.step()
    return network, optimizer


def test_what_is_loaded_goes_on_as_what_was_saved(tmp_path: Path) -> None:
    network, optimizer = stepped(0)
    position = TrainState(
        epoch=3, step=2, sums={"total": 0.1 + 0.2}, correct=7, seconds=1.5, scaler={"scale": 8.0}, best_metric=1 / 3
    )
    save_state(tmp_path / "state", network, optimizer, position)
    other, other_optimizer = stepped(1)
    assert load_state(tmp_path / "state", other, other_optimizer) == position
    images = torch.randn(5, 3, 4, 4)
    for one, its_optimizer in ((network, optimizer), (other, other_optimizer)):
        its_optimizer.zero_grad()
        one(images).sum().backward()
        its_optimizer.step()
    for key, value in network.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key


def test_channels_last_weights_keep_their_layout_and_their_bits(tmp_path: Path) -> None:
    network, optimizer = stepped(0)
    network.to(memory_format=torch.channels_last)
    save_state(tmp_path / "state", network, optimizer, TrainState())
    other, _ = stepped(1)
    other.to(memory_format=torch.channels_last)
    load_state(tmp_path / "state", other)
    assert torch.equal(other[0].weight, network[0].weight)  # type: ignore[index]
    assert other[0].weight.is_contiguous(memory_format=torch.channels_last)  # type: ignore[index]


@pytest.mark.parametrize("content", [b"", b"no safetensors at all", None])
def test_a_broken_state_is_named_with_what_to_do(content: bytes | None, tmp_path: Path) -> None:
    network, optimizer = stepped(0)
    path = tmp_path / "state"
    save_state(path, network, optimizer, TrainState())
    path.write_bytes(path.read_bytes()[:-9] if content is None else content)
    with pytest.raises(RunError, match=r"cannot be read.*Start the training again"):
        load_state(path, network, optimizer)


def test_a_state_that_was_changed_is_refused_and_nothing_is_loaded(tmp_path: Path) -> None:
    network, optimizer = stepped(0)
    save_state(tmp_path / "state", network, optimizer, TrainState())
    content = bytearray((tmp_path / "state").read_bytes())
    content[-1] ^= 1
    (tmp_path / "state").write_bytes(content)
    other, other_optimizer = stepped(1)
    before = {key: value.clone() for key, value in other.state_dict().items()}
    with pytest.raises(RunError, match="SHA-256 differs"):
        load_state(tmp_path / "state", other, other_optimizer)
    assert all(torch.equal(value, before[key]) for key, value in other.state_dict().items())


def test_a_state_of_before_its_own_hash_is_read(tmp_path: Path) -> None:
    network, optimizer = stepped(0)
    save_state(tmp_path / "state", network, optimizer, TrainState(epoch=2))
    tensors, about = load_file(tmp_path / "state"), {"position": TrainState(epoch=2).model_dump_json()}
    save_file(tensors, tmp_path / "state", about)
    assert load_state(tmp_path / "state", *stepped(1)) == TrainState(epoch=2)
    save_file(tensors, tmp_path / "state", {**about, "self_sha257": "0" * 64})
    with pytest.raises(RunError, match="lost its own SHA-256"):
        load_state(tmp_path / "state", *stepped(1))


def test_a_state_of_another_network_is_refused(tmp_path: Path) -> None:
    network, optimizer = stepped(0)
    save_state(tmp_path / "state", network, optimizer, TrainState())
    with pytest.raises(RunError, match="cannot be read"):
        load_state(tmp_path / "state", nn.Linear(2, 2))


def test_averaged_weights_are_saved_with_the_others(tmp_path: Path) -> None:
    (network, optimizer), (average, _) = stepped(0), stepped(1)
    save_state(tmp_path / "state", network, optimizer, TrainState(), average)
    (one, its_optimizer), (other, _) = stepped(2), stepped(3)
    load_state(tmp_path / "state", one, its_optimizer, other)
    for ours, theirs in ((network, one), (average, other)):
        assert all(torch.equal(value, theirs.state_dict()[key]) for key, value in ours.state_dict().items())


def test_a_state_without_averaged_weights_does_not_continue_an_average(tmp_path: Path) -> None:
    network, optimizer = stepped(0)
    save_state(tmp_path / "state", network, optimizer, TrainState())
    with pytest.raises(RunError, match="cannot be read"):
        load_state(tmp_path / "state", *stepped(1), averaged=stepped(2)[0])
