"""A source with its linear layer, tested as if it were shipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from sskt_edge.common.progress import QUIET
from sskt_edge.study.arms import arms_of
from sskt_edge.study.compare import compare
from sskt_edge.study.comparison_text import markdown_of
from sskt_edge.targets.run_folder import TrainedNetwork
from sskt_edge.training.source_answers import source_answers
from tests.training.labelled import Asked, Images

ENGINE = ("labels.engine=torch", "labels.precision=fp32", "labels.views=2", "train.epochs=2", "method.name=probe")


def test_a_source_is_tested_on_the_test_images_with_its_cost(
    images: Images, tiny_teacher: TrainedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,) = source_answers(images.recipe(*ENGINE), QUIET)
    assert (found.name, found.test.images) == ("teacher", 4)
    assert found.test.value == 1.0
    assert found.cost is not None
    assert found.cost.parameters == sum(one.numel() for one in tiny_teacher.network.parameters())
    asked = Asked(monkeypatch)
    assert source_answers(images.recipe(*ENGINE), QUIET) == [found]
    assert asked.batches == 0


def test_a_comparison_says_when_the_source_is_the_better_answer(images: Images, tmp_path: Path) -> None:
    recipe = images.recipe(*ENGINE, "train.optimizer.lr=1e-9")
    found = compare(recipe, [0], arms_of(recipe, ["scratch", "probe"]), tmp_path / "studies")
    assert [one.name for one in found.sources] == ["teacher"]
    text = markdown_of(found)
    assert "The source itself is better than every arm: teacher with a linear layer, 100.0% (51.0% to 100.0%)" in text
    assert "| source teacher | 100.00 (" in text
    # The teacher is the same network at the same size.
    assert found.ms.keys() == {"scratch", "probe", "teacher"} and found.ms["scratch"] == found.ms["probe"] > 0
    again = compare(recipe, [0], arms_of(recipe, ["scratch", "probe"]), tmp_path / "studies")
    assert again.ms == found.ms and markdown_of(again) == text


def test_arms_with_other_sources_have_those_tested(images: Images, tmp_path: Path) -> None:
    recipe = images.recipe(*ENGINE, "train.epochs=1", "labels.views=1")
    model = recipe.sources[0].model
    others = [f"renamed: sources=[{{name='heavy',model='{model}'}}]", "dim: sources.teacher.std=[0.5,0.5,0.5]"]
    found = compare(recipe, [0], arms_of(recipe, ["probe"], others), tmp_path / "studies")
    answers = {one.name: one for one in found.sources}
    assert answers.keys() == {"teacher", "heavy", "teacher of dim"}
    assert answers["teacher"].test == answers["heavy"].test
    assert answers["teacher of dim"].shown[0][0].std == (0.5, 0.5, 0.5)
    assert found.ms.keys() >= answers.keys()


def test_without_a_probe_no_source_is_tested(images: Images, tmp_path: Path) -> None:
    recipe = images.recipe(*ENGINE, "method.name=sskt", "train.epochs=1")
    found = compare(recipe, [0], arms_of(recipe, ["scratch"]), tmp_path / "studies")
    assert found.sources == () and found.ms == {} and "linear layer" not in markdown_of(found)
