from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import models

from sskt_edge.common.errors import CheckpointError
from sskt_edge.targets.weights import load_weights, read_weights

FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


def network(classes: int = 3) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, classes))


def save(tree: object, path: Path, zipped: bool = True) -> Path:
    torch.save(tree, path, _use_new_zipfile_serialization=zipped)
    return path


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


class _Code:
    """What an attacker would put into a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


@FORMATS
@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.pth.tar"])
def test_a_plain_state_dict_comes_back(tmp_path: Path, name: str, zipped: bool) -> None:
    state = network().state_dict()
    assert same(read_weights(save(state, tmp_path / name, zipped)), state)


def test_safetensors_come_back(tmp_path: Path) -> None:
    state = network().state_dict()
    save_file(state, tmp_path / "w.safetensors")
    assert same(read_weights(tmp_path / "w.safetensors"), state)


@FORMATS
@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict"])
def test_a_training_checkpoint_gives_its_weights_alone(tmp_path: Path, key: str, zipped: bool) -> None:
    state = network().state_dict()
    tree = {"epoch": 90, "arch": "resnet50", key: state, "best_prec1": torch.tensor(54.7), "optimizer": {"state": {}}}
    assert same(read_weights(save(tree, tmp_path / "w.pth.tar", zipped)), state)


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.", "module._orig_mod."])
def test_the_names_lose_their_wrappers(tmp_path: Path, wrapper: str) -> None:
    state = network().state_dict()
    wrapped = {f"{wrapper}{key}": value for key, value in state.items()}
    assert same(read_weights(save(wrapped, tmp_path / "w.pth")), state)


def test_densenets_of_old_torchvision_get_todays_names(tmp_path: Path) -> None:
    state = models.densenet121(num_classes=3).state_dict()
    old = {key.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): value for key, value in state.items()}
    assert old.keys() != state.keys()
    assert same(read_weights(save(old, tmp_path / "w.pth")), state)


@FORMATS
@pytest.mark.parametrize("place", ["top", "beside", "inside"])
def test_code_in_a_file_is_refused_and_does_not_run(tmp_path: Path, zipped: bool, place: str) -> None:
    marker = tmp_path / "ran"
    state, code = network().state_dict(), _Code(marker)
    tree = {"top": code, "beside": {"state_dict": state, "args": code}, "inside": {**state, "a": code}}[place]
    path = save(tree, tmp_path / "w.pth", zipped)
    with pytest.raises(CheckpointError, match=r"w\.pth' was not opened: .*could run code.*torch\.save"):
        read_weights(path)
    assert not marker.exists()
    torch.load(path, weights_only=False)
    assert marker.exists()  # it would have run


def test_even_harmless_objects_are_refused(tmp_path: Path) -> None:
    tree = {"state_dict": network().state_dict(), "args": argparse.Namespace(lr=0.1)}
    with pytest.raises(CheckpointError, match="was not opened"):
        read_weights(save(tree, tmp_path / "w.pth"))


def test_a_whole_module_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="save its state dict alone"):
        read_weights(save(network(), tmp_path / "w.pth"))


def test_the_environment_cannot_switch_the_refusal_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    with pytest.raises(CheckpointError, match="was not opened"):
        read_weights(save({"a": _Code(tmp_path / "ran")}, tmp_path / "w.pth"))
    assert not (tmp_path / "ran").exists()


@FORMATS
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, zipped: bool, share: float) -> None:
    path = save(models.squeezenet1_1(num_classes=3).state_dict(), tmp_path / "w.pth", zipped)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CheckpointError, match=r"w\.pth'"):
        read_weights(path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_safetensors_file_is_refused(tmp_path: Path, share: float) -> None:
    path = tmp_path / "w.safetensors"
    save_file(network().state_dict(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CheckpointError, match=r"not a complete safetensors file: .*Fetch it again"):
        read_weights(path)


@pytest.mark.parametrize("content", [b"<html>404</html>", b"version https://git-lfs.github.com/spec/v1\n", bytes(100)])
@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_a_page_that_was_fetched_instead_is_refused(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=name):
        read_weights(tmp_path / name)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(CheckpointError, match="No weights file"):
            read_weights(path)


@pytest.mark.parametrize(
    ("tree", "got"), [({"epoch": 1, "lr": 0.1}, r"\['epoch', 'lr'\]"), ([1, 2], "a list"), ({}, r"\[\]")]
)
def test_a_file_without_weights_says_what_it_holds(tmp_path: Path, tree: object, got: str) -> None:
    with pytest.raises(CheckpointError, match=f"holds no weights: .*{got}"):
        read_weights(save(tree, tmp_path / "w.pth"))


def test_loading_sets_every_weight() -> None:
    trained, fresh = network(), network()
    load_weights(fresh, trained.state_dict(), "w.pth")
    assert same(dict(fresh.state_dict()), dict(trained.state_dict()))


def test_files_older_than_the_batch_counters_load() -> None:
    state = {key: value for key, value in network().state_dict().items() if "num_batches" not in key}
    fresh = network()
    load_weights(fresh, state, "w.pth")
    assert torch.equal(fresh.state_dict()["1.weight"], state["1.weight"])


def test_wrong_shapes_are_listed_and_nothing_is_loaded() -> None:
    fresh = network(classes=3)
    before = {key: value.clone() for key, value in fresh.state_dict().items()}
    message = (
        r"'w.pth' .*2 of another shape: 3\.weight is \(5, 4\), must be \(3, 4\); 3\.bias is \(5,\), must be \(3,\)"
    )
    with pytest.raises(CheckpointError, match=message):
        load_weights(fresh, network(classes=5).state_dict(), "w.pth")
    assert same(dict(fresh.state_dict()), before)


def test_missing_and_unknown_names_are_counted_and_the_first_listed() -> None:
    state = models.squeezenet1_1(num_classes=3).state_dict()
    with pytest.raises(
        CheckpointError, match=r"missing: 0\.weight; 0\.bias; 1\.weight …\..* unknown: features\.0"
    ) as error:
        load_weights(network(), state, "w.pth")
    assert len(str(error.value)) < 600
