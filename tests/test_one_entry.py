"""Whatever a recipe may name is added by one file and one entry: the verbs take it, list it, and offer it in errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

import sskt_edge
from sskt_edge.catalogue.backends import BACKENDS
from sskt_edge.catalogue.data_sets import DATA_SETS, DataSetEntry
from sskt_edge.catalogue.entry import Entry, OptionsEntry
from sskt_edge.catalogue.inputs import INPUTS
from sskt_edge.catalogue.methods import METHODS
from sskt_edge.catalogue.optimization import OPTIMIZERS, SCHEDULES
from sskt_edge.catalogue.source_views import SOURCE_VIEWS
from sskt_edge.catalogue.sources import SOURCES
from sskt_edge.catalogue.targets import TARGETS, TargetEntry
from sskt_edge.catalogue.tasks import TASKS
from sskt_edge.cli.networks import networks
from sskt_edge.common.errors import MissingExtraError, StudyError
from sskt_edge.common.packages import extras
from sskt_edge.evaluation.evaluate import evaluate
from sskt_edge.inference.open_sessions import open_sessions
from sskt_edge.recipe.load import parse_recipe
from sskt_edge.recipe.models import Recipe
from sskt_edge.study.compare import compare
from sskt_edge.study.space import parse_space
from sskt_edge.study.sweep import sweep
from tests.recipe.small import fault

RECIPE = """
name = "dummy"
data = { name = "squares", validation = 0.25, augment = { crop_padding = 1 } }
task = { name = "balanced" }
target = { model = "dots" }
method = { name = "calm", pull = 2.0 }
[train]
device = "cpu"
precision = "fp32"
epochs = 2
batch_size = 8
schedule = { name = "late" }
[export]
precisions = ["fp32"]
golden = 4
batch = { min = 1, opt = 4, max = 4 }
"""


@pytest.fixture(autouse=True)
def entries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The five entries."""
    target = TargetEntry("dots", "two convolutions", "tests.dummies.target:dots", smallest=8)
    monkeypatch.setitem(TARGETS, "dots", target)
    task = Entry("balanced", "each class counts as much as another", "tests.dummies.task:BALANCED")
    monkeypatch.setitem(TASKS, "balanced", task)
    data_set = DataSetEntry("squares", "bright and dark", "tests.dummies.data_set:open_squares", size=8)
    monkeypatch.setitem(DATA_SETS, "squares", data_set)
    method = OptionsEntry(
        "calm", "small logits", "tests.dummies.method:calm_learner", options="tests.dummies.method:CalmOptions"
    )
    monkeypatch.setitem(METHODS, "calm", method)
    schedule = OptionsEntry(
        "late", "half at the end", "tests.dummies.schedule:LateSchedule", options="tests.dummies.schedule:LateOptions"
    )
    monkeypatch.setitem(SCHEDULES, "late", schedule)


def test_what_was_added_trains_and_is_exported(tmp_path: Path) -> None:
    run = sskt_edge.train(parse_recipe(RECIPE), tmp_path / "runs")
    bundle = sskt_edge.export(run, tmp_path / "bundle")

    lines = [json.loads(line) for line in run.folder.metrics.read_text().splitlines()]
    assert [line["lr"] for line in lines] == [0.1, 0.05]
    assert lines[0]["loss"] == pytest.approx(lines[0]["loss_primary"] + 2 * lines[0]["loss_calm"], rel=1e-5)
    assert bundle.manifest.classes == ["dark", "bright"] and bundle.manifest.target == "dots"
    assert (run.result.test.metric, bundle.manifest.task) == ("balanced accuracy", "balanced")
    assert "validation_balanced accuracy" in lines[0]
    report = evaluate(bundle, open_sessions(bundle, backend="onnxruntime", provider="cpu"))
    assert report.passed and report.results[0].scores.metric == "balanced accuracy"
    logits = sskt_edge.open_session(bundle).run(bundle.golden().images)
    assert abs(logits - bundle.golden().logits).max() < 1e-4


@pytest.mark.slow
def test_what_was_added_is_compared_and_swept(tmp_path: Path) -> None:
    recipe = parse_recipe(RECIPE, ["train.epochs=1", "task.name=single_label"])
    compared = compare(recipe, range(2), folder=tmp_path)
    swept = sweep(recipe, parse_space(["method.pull=0.1,1"]), folder=tmp_path)

    assert [arm.name for arm in compared.arms] == ["scratch", "calm"]
    assert {name: len(runs) for name, runs in compared.figures.items()} == {"scratch": 2, "calm": 2}
    assert {one.state for one in swept.tried} == {"done"}
    with pytest.raises(StudyError, match=r"method\.alpha"):
        sweep(recipe, parse_space(["method.alpha=0.1,1"]), folder=tmp_path)


def test_what_was_added_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    networks()
    said = capsys.readouterr().out
    assert all(name in said for name in ("dots", "squares", "balanced", "calm"))


def test_what_was_added_is_in_the_schema() -> None:
    schema = json.dumps(Recipe.model_json_schema())
    assert all(f'"{name}"' in schema for name in ("dots", "squares", "calm", "late", "pull"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("task.name=multi_label", "data sets with labels for 'multi_label': table"),
        ("task.name=balance", "Nearest: 'balanced'"),
        ("target.model=dot", "Nearest: 'dots'"),
        ("data.name=square", "Nearest: 'squares'"),
        ("method.name=clam", ", calm"),
        ("method.pul=1", "Nearest: 'pull'"),
        ("train.schedule.name=lat", "Nearest: 'late'"),
    ],
)
def test_what_was_added_is_offered_in_errors(change: str, said: str) -> None:
    assert said in fault(RECIPE, change)


def test_a_package_that_an_entry_needs_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "of_tomorrow.py").write_text("import nowhere\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(MissingExtraError, match=r"'x' needs nowhere.*sskt-edge\[demo\]"):
        Entry("x", "", "of_tomorrow:x", extras=("demo",)).load()


def test_the_extras_of_every_entry_exist() -> None:
    groups: list[Mapping[str, Entry]] = [BACKENDS, DATA_SETS, INPUTS, METHODS, OPTIMIZERS, SCHEDULES, SOURCE_VIEWS]
    named = {
        extra for group in [*groups, SOURCES, TARGETS, TASKS] for entry in group.values() for extra in entry.extras
    }
    assert named <= set(extras())
