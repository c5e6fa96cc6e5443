"""Several targets on one store: what they cost, what they get right, and which of them to ship."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sskt_edge.bundle.bundle import open_bundle
from sskt_edge.common.errors import Interrupted, NetworkError, StudyError
from sskt_edge.recipe import Recipe
from sskt_edge.study.draw_front import draw_front
from sskt_edge.study.front import front, parse_targets
from sskt_edge.study.front_result import Front, FrontPoint, SizedTarget, pareto
from sskt_edge.study.front_text import markdown_of
from sskt_edge.targets.run_folder import TrainedNetwork
from sskt_edge.training.train import train
from tests.conftest import tiny_recipe

TARGETS = parse_targets("resnet20@16,resnet32@12")


def point(value: float, ms: float, mb: float = 1.0, holds: bool = True) -> FrontPoint:
    target = SizedTarget("resnet20", 64)
    return FrontPoint(
        target, "fp32", "onnxruntime-cpu", value, (0.0, 1.0), ms, int(mb * 1e6), holds, Path("b"), "onnxruntime-cpu"
    )


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Front:
    """A study that was stopped in its second training and is complete."""
    recipe, folder = tiny_recipe("name=front"), tmp_path_factory.mktemp("studies")
    trained: list[str] = []

    def stop(recipe: Recipe, *rest: Any, **names: Any) -> TrainedNetwork:
        trained.append(recipe.target.model)
        if len(trained) == 2:
            raise Interrupted("Stopped.", 2)
        return train(recipe, *rest, **names)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sskt_edge.study.runs.train", stop)
        with pytest.raises(Interrupted, match=r"Stopped after 1 of 2 targets.*Run the same command"):
            front(recipe, TARGETS, folder)
        complete = front(recipe, TARGETS, folder)
    assert trained == ["resnet20", "resnet32", "resnet32"]
    return complete


def test_targets_are_read_with_their_sizes() -> None:
    assert [(one.model, one.size) for one in TARGETS] == [("resnet20", 16), ("resnet32", 12)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("resnet20", "expected NAME@SIZE"),
        ("resnet20@0", "expected NAME@SIZE"),
        ("resnet2O@64", "unknown target 'resnet2O'. Nearest: 'resnet20'"),
        ("resnet20@64,resnet20@64", "is listed twice"),
        (" , ", "names no target"),
    ],
)
def test_what_names_no_target_is_refused(text: str, said: str) -> None:
    with pytest.raises(StudyError, match=said):
        parse_targets(text)


def test_a_size_that_a_target_does_not_take_is_refused() -> None:
    with pytest.raises(NetworkError, match="densenet121 needs images of at least 32"):
        parse_targets("densenet121@8")


def test_no_point_of_the_front_is_surpassed_and_every_other_is() -> None:
    points = [point(0.7, 1), point(0.8, 2), point(0.75, 3), point(0.8, 4), point(0.9, 5), point(0.95, 1, holds=False)]
    assert [(one.value, one.latency_ms) for one in pareto(points, lambda one: one.latency_ms)] == [
        (0.7, 1),
        (0.8, 2),
        (0.9, 5),
    ]


def test_of_equal_points_the_quickest_counts_then_the_smallest() -> None:
    points = [point(0.8, 30, 1.0), point(0.8, 4, 1.0), point(0.7, 2, 3.0), point(0.7, 2, 2.0)]
    assert pareto(points, lambda one: one.bytes) == (points[1],)
    assert pareto(points, lambda one: one.latency_ms) == (points[3], points[1])


def test_names_of_many_reports_are_not_drawn_beyond_the_edge() -> None:
    places = ", ".join(f"the device of reports/of/a/board/{number}.json" for number in range(8))
    study = Front(Path("s"), tiny_recipe(), (SizedTarget("resnet20", 64),), (point(0.7, 1),), measured_on=places)
    picture = np.asarray(Image.open(io.BytesIO(draw_front(study))).convert("L"))
    assert picture[:, 0].min() == picture[:, -1].min() == picture[-1].min() == 255


def test_the_best_below_a_limit_is_named() -> None:
    points = (point(0.7, 1, 0.5), point(0.8, 2, 3.0), point(0.9, 5, 9.0), point(0.95, 1, 0.1, holds=False))
    study = Front(Path("s"), tiny_recipe(), (SizedTarget("resnet20", 64),), points)
    for limits, value in (((None, None), 0.9), ((2.0, None), 0.8), ((None, 1.0), 0.7), ((5.0, 3.0), 0.8)):
        best = study.best(*limits)
        assert best is not None and best.value == value
    assert study.best(0.5) is None


@pytest.mark.slow
def test_every_target_has_its_bundle_and_its_points(found: Front) -> None:
    assert [one.target for one in found.points] == sorted((one.target for one in found.points), key=found.targets.index)
    assert {one.target for one in found.points} == set(TARGETS)
    for one in found.points:
        assert (one.bundle / "manifest.json").is_file()
        assert one.latency_ms > 0 and one.bytes > 1000
    told = json.loads((found.folder / "front.json").read_text())
    assert told["targets"] == ["resnet20@16", "resnet32@12"] and len(told["points"]) == len(found.points)
    assert (found.folder / "front.md").read_text() == markdown_of(found)
    assert (found.folder / "front.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_study_again_trains_and_exports_nothing(found: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("something was made again")

    monkeypatch.setattr("sskt_edge.study.front.bundle_from_run", never)
    monkeypatch.setattr("sskt_edge.study.runs.train", never)
    again = front(tiny_recipe("name=front"), TARGETS, found.folder.parent)
    assert again.points == found.points


@pytest.mark.slow
def test_changed_images_are_refused_and_the_tables_stay(found: Front) -> None:
    """As in a comparison. A target trained on other images would stand beside those trained on these."""
    before = {path.name: path.read_bytes() for path in found.folder.glob("front.*")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sskt_edge.study.data_guard.labelled_sha256", lambda *_: "other images")
        with pytest.raises(StudyError, match=r"The training images changed since 'front-.*' was trained"):
            front(tiny_recipe("name=front"), TARGETS, found.folder.parent)
    assert {path.name: path.read_bytes() for path in found.folder.glob("front.*")} == before


def report_of(bundle: Path, file: Path, **changes: Any) -> Path:
    """A report of bench on a device: the fp32 file with one image in 7.5 ms, and with eight in 50."""
    measured = {
        "precision": "fp32",
        "sha256": open_bundle(bundle).manifest.precisions["fp32"].sha256,
        "backend": "onnxruntime",
        "provider": "cpu",
        "batch": 1,
        "latency": {"p50_ms": 7.5},
        **changes,
    }
    file.write_text(json.dumps({"measurements": [measured, {**measured, "batch": 8, "latency": {"p50_ms": 50}}]}))
    return file


@pytest.mark.slow
def test_latencies_of_a_device_take_the_place_of_those_here(found: Front, tmp_path: Path) -> None:
    report = report_of(found.points[0].bundle, tmp_path / "device.json")
    again = front(tiny_recipe("name=front"), TARGETS, found.folder.parent, {"resnet20@16": report})
    (only,) = [one for one in again.points if one.target == TARGETS[0]]
    assert (only.latency_ms, only.runner, only.scored_by) == (7.5, "onnxruntime-cpu", "onnxruntime-cpu")
    said = markdown_of(again)
    assert f"measured on this machine, the device of {report} (resnet20@16)" in said
    assert "by another library" not in said


@pytest.mark.slow
def test_a_library_of_the_device_alone_takes_the_accuracy_of_the_export(found: Front, tmp_path: Path) -> None:
    report = report_of(found.points[0].bundle, tmp_path / "device.json", backend="tensorrt", provider="cuda")
    again = front(tiny_recipe("name=front"), TARGETS, found.folder.parent, {"resnet20@16": report})
    (only,) = [one for one in again.points if one.target == TARGETS[0]]
    assert (only.latency_ms, only.runner, only.scored_by) == (7.5, "tensorrt-cuda", "onnxruntime-cpu")
    assert only.value == found.points[0].value
    assert "the accuracy of tensorrt-cuda (onnxruntime-cpu). sskt-edge eval on the device shows" in markdown_of(again)


@pytest.mark.slow
def test_a_report_of_another_bundle_is_refused(found: Front, tmp_path: Path) -> None:
    report = report_of(found.points[-1].bundle, tmp_path / "other.json")
    with pytest.raises(StudyError, match=r"--bench resnet20@16: the report is about another fp32 file than the one in"):
        front(tiny_recipe("name=front"), TARGETS, found.folder.parent, {"resnet20@16": report})


def test_a_report_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"a": 1}')
    with pytest.raises(StudyError, match="is not the output of this version's sskt-edge bench --json"):
        front(tiny_recipe(), TARGETS, tmp_path, {"resnet20@16": tmp_path / "other.json"})
