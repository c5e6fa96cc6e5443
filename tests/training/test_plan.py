"""A plan writes no labels, says what a training would do, and its figures follow from each other."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from sskt_edge.common.errors import ParityError, RecipeError
from sskt_edge.common.json import as_json
from sskt_edge.sources.engine_selection import EngineChoice
from sskt_edge.sources.engines import ENGINES
from sskt_edge.sources.gate import GateVerdict
from sskt_edge.sources.store.store import LabelStore
from sskt_edge.targets.run_folder import TrainedNetwork
from sskt_edge.training.fill_store import fill_store
from sskt_edge.training.plan import Plan, SourcePlan, plan_labels
from tests.training.labelled import Images

TORCH, ONNX = ENGINES["torch-fp32"], ENGINES["onnxruntime-fp32"]
ONLY_TORCH = ("labels.engine=torch", "labels.precision=fp32")


@pytest.fixture
def images(tiny_teacher: TrainedNetwork, tmp_path: Path) -> Images:
    return Images(tmp_path, tiny_teacher)


def source_plan(speed: float, views: int, missing: int, asked_online: int) -> SourcePlan:
    verdicts = (
        GateVerdict(TORCH, "cpu", speed / 4, 0.0, 1.0, 1.0, 0.8, True, "the reference", 0.1),
        GateVerdict(ONNX, "cpu", speed, 0.0, 1.0, 1.0, 0.8, True, "", 0.1),
    )
    return SourcePlan(
        f"s{speed}", verdicts, EngineChoice(ONNX, "a test", verdicts), views, missing, asked_online, 0, None
    )


def test_a_store_of_sixteen_views_has_paid_after_sixteen_epochs() -> None:
    """1000 images, 100 epochs, 16 views; a source that answers 100 images a second takes 10 s for all of them."""
    plan = Plan(
        (source_plan(100.0, 16_000, 16_000, 100_000),), epochs=100, asking_epochs=100, images=1000, stored_epoch=2.0
    )
    assert plan.filling == 160.0
    assert plan.online_epoch == 12.0
    # A tenth of a second makes the engine ready, either way.
    assert plan.training_stored == pytest.approx(0.1 + 160.0 + 200.0)
    assert plan.training_online == pytest.approx(0.1 + 1200.0)
    assert plan.break_even == 16
    assert plan.filling + plan.break_even * plan.stored_epoch <= plan.break_even * plan.online_epoch


def test_a_store_that_has_a_part_pays_sooner_and_one_that_has_all_at_once() -> None:
    for missing, epochs in ((15_999, 16), (15_000, 15), (1, 1), (0, 0)):
        plan = Plan(
            (source_plan(100.0, 16_000, missing, 100_000),),
            epochs=100,
            asking_epochs=100,
            images=1000,
            stored_epoch=2.0,
        )
        assert plan.break_even == epochs


def test_two_sources_take_the_time_of_both() -> None:
    parts = (source_plan(100.0, 16_000, 0, 100_000), source_plan(10.0, 16_000, 16_000, 100_000))
    plan = Plan(parts, epochs=100, asking_epochs=100, images=1000, stored_epoch=2.0)
    assert plan.filling == 1600.0
    assert plan.online_epoch == 2.0 + 10.0 + 100.0
    assert plan.break_even == math.ceil(1600 / 110)


def test_planning_writes_nothing_and_its_figures_fit_together(
    images: Images, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    before = sorted(tmp_path.rglob("*"))
    plan = plan_labels(images.recipe(*ONLY_TORCH, "data.per_class=5", "data.unlabelled=rest", "train.epochs=4"))
    assert sorted(tmp_path.rglob("*")) == before
    (part,) = plan.sources
    assert (part.name, part.choice.engine, part.choice.why) == ("teacher", TORCH, "as the recipe says")
    assert [verdict.engine for verdict in part.verdicts] == [TORCH]
    assert part.speed == part.verdicts[0].images_per_second > 0
    # Ten labelled images in four epochs; six others, of which ten are met in an epoch: 40 in 7 passes.
    assert part.asked_online == 10 * 4 + 6 * 7
    assert part.views == part.missing <= 10 * 2 + 6 * 2
    assert part.bytes == part.missing * (16 + 2 * 10)
    assert (plan.epochs, plan.images) == (4, 20)
    assert plan.filling == part.missing / part.speed
    assert plan.online_epoch == pytest.approx(plan.stored_epoch + part.asked_online / 4 / part.speed)
    seconds = json.loads(json.dumps(as_json(plan)))["seconds"]
    assert part.opening == part.verdicts[0].seconds_to_open > 0
    assert seconds["training_stored"] == pytest.approx(part.opening + plan.filling + 4 * plan.stored_epoch)
    assert seconds["training_online"] == pytest.approx(part.opening + 4 * plan.online_epoch)


def test_a_plan_is_what_a_fill_does(images: Images) -> None:
    overrides = (*ONLY_TORCH, "labels.views=fresh")
    (before,) = plan_labels(images.recipe(*overrides)).sources
    filled = fill_store(images.recipe(*overrides))["teacher"]
    (collection,) = LabelStore(images.store).collections()
    assert (filled["engine"], filled["why"]) == (before.choice.engine.name, before.choice.why)
    assert filled["asked"] == filled["views"] == before.missing == before.views == collection.rows
    assert filled["path"] == before.path == str(collection.path)
    (after,) = plan_labels(images.recipe(*overrides)).sources
    assert (after.missing, after.bytes, after.choice.why) == (0, 0, "the store has its labels")


@pytest.mark.slow
def test_few_views_are_planned_for_the_reference(images: Images) -> None:
    plan = plan_labels(images.recipe("labels.store=false", "labels.gate={kl=10, agreement=0}"))
    (part,) = plan.sources
    assert (part.choice.engine, part.choice.why) == (TORCH, "too few views for trials of others")
    assert ONNX in [verdict.engine for verdict in part.verdicts]
    assert (part.path, part.bytes, part.missing) == (None, 0, part.views)


def test_a_single_view_without_a_store_is_asked_once(images: Images) -> None:
    plan = plan_labels(images.recipe(*ONLY_TORCH, "labels.views=1", "train.epochs=8"))
    assert plan.sources[0].asked_online == plan.sources[0].missing == 16
    assert plan.break_even == 1  # and kept from then on: the store costs what the first epoch would


@pytest.mark.slow
def test_what_cannot_be_planned_is_refused(images: Images) -> None:
    with pytest.raises(RecipeError, match=r"labels.top_k = 1 loses too much"):
        plan_labels(images.recipe(*ONLY_TORCH, "labels.top_k=1", "method.temperature=0.5"))
    with pytest.raises(RecipeError, match=r"method\.name = 'scratch'\. There is nothing to plan"):
        plan_labels(images.recipe("method.name=scratch"))
    with pytest.raises(ParityError, match=r"onnxruntime-fp32: KL .* at most 0 is allowed"):
        plan_labels(images.recipe("labels.engine=onnxruntime", "labels.gate.kl=0", "sources.0.mean=[0.1,0.2,0.3]"))
