"""The end of a training: what it records, and what it says of the result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sskt_edge.common.progress import Notes
from sskt_edge.recipe import parse_recipe
from sskt_edge.targets.run_folder import TrainedNetwork
from sskt_edge.tasks.multi_label import MULTI_LABEL
from sskt_edge.tasks.score import Score
from sskt_edge.training.finish import chance_warning, result_facts
from sskt_edge.training.train import train
from tests.data.small import picture

RECIPE = """
name = "rare"
task.name = "multi_label"
data = { name = "table", root = "%s", image_size = 16 }
target.model = "resnet20"
method.name = "scratch"
labels.views = 1
train = { device = "cpu", precision = "fp32", epochs = 1, batch_size = 8 }
export.golden = 1
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> TrainedNetwork:
    """Of 16 test images one has a class."""
    folder = tmp_path_factory.mktemp("rare")
    rows = ["path,classes,split"]
    for number in range(24):
        Image.fromarray(picture(number)).save(folder / f"{number}.png")
        rows.append(f"{number}.png,{'a' if number % 16 == 0 else ''},{'test' if number < 16 else 'train'}")
    (folder / "labels.csv").write_text("\n".join(rows))
    return train(parse_recipe(RECIPE % (folder / "labels.csv").as_posix()), folder / "runs")


def test_a_golden_image_has_a_class_so_that_the_metric_is_defined(run: TrainedNetwork) -> None:
    golden = run.golden()
    assert golden.labels.tolist() == [[1]] and golden.test_labels.sum() == 1
    assert MULTI_LABEL.value(golden.logits, golden.labels) == 1.0


def test_the_result_is_the_score_of_the_recorded_logits(run: TrainedNetwork) -> None:
    golden, test = run.golden(), run.result.test
    found = MULTI_LABEL.scores(golden.test_logits, golden.test_labels, 1)
    assert (test.metric, test.images) == ("mAP", 16)
    assert (test.value, test.interval, test.further) == (found.value, found.interval, found.further)
    assert np.isfinite(golden.test_logits).all()


def test_a_target_that_is_better_than_its_probe_says_so(run: TrainedNetwork) -> None:
    def told(test: float, probe: float) -> str:
        score = {"metric": "accuracy", "images": 100, "further": {}}
        made = Score.model_validate({**score, "value": test, "interval": (test - 0.02, test + 0.02)})
        taught = Score.model_validate({**score, "value": probe, "interval": (probe - 0.05, probe + 0.05)})
        return result_facts(run.result.model_copy(update={"test": made, "probes": {"imagenet": taught}}))["probe"]

    assert told(0.80, 0.85) == "accuracy 85.00% on the labelled images, cross-validated (imagenet)"
    assert told(0.86, 0.85) == told(0.80, 0.85)  # within the interval of the test
    assert told(0.90, 0.85).endswith("so the probe may not help: sskt-edge compare")
    assert "probe" not in result_facts(run.result)


def test_a_network_at_chance_is_said_with_what_to_do(tmp_path: Path) -> None:
    """The classes have nothing to do with the images."""
    rng = np.random.default_rng(0)
    rows = ["path,classes,split"]
    for number in range(48):
        Image.fromarray(picture(number)).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,{rng.choice(['a', 'b'])},{'test' if number < 40 else 'train'}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    recipe = RECIPE.replace('task.name = "multi_label"\n', "") % (tmp_path / "labels.csv").as_posix()
    progress = Notes()
    run = train(parse_recipe(recipe), tmp_path / "runs", progress=progress)
    (said,) = [line for line in progress.lines if "better than chance" in line]
    assert "train.epochs" in said and "train.optimizer.lr" in said
    *_, result = run.folder.log.read_text(encoding="utf-8").splitlines()
    assert result.endswith(said)


def test_a_network_that_is_clearly_better_than_chance_is_not_warned_of() -> None:
    facts = {"metric": "accuracy", "images": 100, "further": {}}
    assert chance_warning(Score.model_validate({**facts, "value": 0.6, "interval": (0.51, 0.69)}), 0.5) is None
    at_the_edge = Score.model_validate({**facts, "value": 0.6, "interval": (0.5, 0.69)})
    assert "accuracy 50.0%" in str(chance_warning(at_the_edge, 0.5))
