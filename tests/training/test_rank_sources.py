"""The ranking of a recipe's sources, by what a layer on their answers knows of the classes."""

from __future__ import annotations

from typing import Any

import pytest

from sskt_edge.common.errors import RecipeError
from sskt_edge.recipe import Recipe, parse_recipe
from sskt_edge.sources.engine_selection import EngineSelector
from sskt_edge.sources.label_query import LabelQuery
from sskt_edge.training.plan import plan_labels
from sskt_edge.training.rank_sources import rank_sources
from sskt_edge.training.train import train
from tests.data.small import write_classes
from tests.training.labelled import Asked, Images

ENGINE = ("labels.engine=torch", "labels.precision=fp32", "labels.views=2")


def with_two_sources(images: Images) -> Recipe:
    """The recipe's source, and the same network with a mean and a deviation that leave nothing of an image."""
    tree = images.recipe(*ENGINE).model_dump(mode="json", exclude_none=True)
    blind = {**tree["sources"][0], "name": "blind", "mean": [0.5] * 3, "std": [1e6] * 3}
    return Recipe.model_validate({**tree, "sources": [blind, *tree["sources"]]})


def test_what_a_source_knows_of_the_classes_puts_it_first(images: Images) -> None:
    ranked = rank_sources(with_two_sources(images))
    scores = {one.facts.name: one.facts.score.value for one in ranked}
    assert scores.keys() == {"teacher", "blind", "blind + teacher"}
    assert scores["teacher"] > 0.9 and scores["blind"] < 0.7
    assert ranked[-1].facts.name == "blind"
    assert [one.facts.loss for one in ranked] == sorted(one.facts.loss for one in ranked)


def test_a_ranking_again_asks_nothing_and_a_training_uses_its_labels(
    images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = images.recipe(*ENGINE)
    first = rank_sources(recipe)
    asked = Asked(monkeypatch)
    assert [one.facts for one in rank_sources(recipe)] == [one.facts for one in first]
    assert first[0].filling == 0  # two views of an image are all that a training needs
    run = train(images.recipe(*ENGINE, "method.name=probe", "train.epochs=2"), images.runs)
    assert asked.batches == 0
    assert run.result.probes["teacher"] == first[0].facts.score


def test_the_engine_is_chosen_for_all_views_of_a_training(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    """So its labels are those that the training looks for, and it finds them."""
    write_classes(images.root.parent / "more", {"any": 9}, first=300)
    unlabelled = f"data.unlabelled={images.root.parent / 'more'}"
    recipe = images.recipe(*ENGINE, unlabelled, "method.name=probe", "labels.views=6", "train.epochs=6")
    views: list[int] = []
    create = EngineSelector.__init__

    def watched(selector: EngineSelector, query: LabelQuery, *rest: Any) -> None:
        views.append(query.views)
        create(selector, query, *rest)

    monkeypatch.setattr(EngineSelector, "__init__", watched)
    ranked = rank_sources(recipe)
    assert ranked[0].facts.views == 16 * 4
    train(recipe, images.runs)
    ranking, training = views
    assert ranking == training > 16 * 6


def test_a_plan_shows_the_ranking_once_its_labels_are_stored(images: Images) -> None:
    """Those of four views, of which there are more in a training."""
    recipe = images.recipe(*ENGINE, "method.name=probe", "labels.views=6", "train.epochs=6")
    assert plan_labels(images.recipe(*ENGINE)).probes is None
    assert plan_labels(recipe).probes == ()
    ranked = rank_sources(recipe)
    plan = plan_labels(recipe)
    assert plan.probes == tuple(one.facts for one in ranked)
    (source,), (only,) = plan.sources, ranked
    assert only.filling == pytest.approx(source.missing / (only.images_per_second or 0)) and source.missing > 0


def test_the_recipes_own_method_does_not_matter(images: Images) -> None:
    scratch, sskt = (rank_sources(images.recipe(*ENGINE, f"method.name={name}")) for name in ("scratch", "sskt"))
    assert [one.facts for one in scratch] == [one.facts for one in sskt]


@pytest.mark.parametrize("told", ["labels.store=false", "labels.top_k=2"])
def test_what_no_probe_can_be_fitted_on_is_refused(told: str, images: Images) -> None:
    with pytest.raises(RecipeError, match=told.partition("=")[0]):
        rank_sources(images.recipe(*ENGINE, told))


def test_a_recipe_without_sources_is_refused() -> None:
    text = 'name="a"\n[data]\nname="digits"\n[target]\nmodel="resnet20"\n[method]\nname="scratch"'
    with pytest.raises(RecipeError, match="no source to rank"):
        rank_sources(parse_recipe(text))
