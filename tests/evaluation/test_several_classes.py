"""Bundles whose images have several classes, and tables as test images of any bundle."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sskt_edge.bundle.bundle import open_bundle
from sskt_edge.common.errors import DataError, InputError
from sskt_edge.common.json import as_json
from sskt_edge.evaluation.evaluate import Report, evaluate, evaluate_data
from sskt_edge.evaluation.labelled_files import table_options
from sskt_edge.evaluation.predict import predict
from sskt_edge.inference.open_session import open_session
from sskt_edge.inference.open_sessions import open_sessions
from sskt_edge.inference.triton import triton_from_bundle
from tests.bundle.several import SHOWN, lowered_model, several_golden, striped, write_several, write_table
from tests.bundle.tiny import CLASSES, WEIGHT, write_bundle

pytest.importorskip("onnxruntime")


def of(path: Path, data: Path | None = None, *overrides: str) -> Report:
    bundle = open_bundle(path)
    opened = open_sessions(bundle, backend="onnxruntime", provider="cpu", threads=1)
    if data is None:
        return evaluate(bundle, opened)
    return evaluate_data(bundle, opened, data, table_options(overrides))


@pytest.fixture
def bundle_path(tmp_path: Path) -> Path:
    return write_several(tmp_path / "several")


def test_the_network_that_was_exported_passes(bundle_path: Path) -> None:
    report = of(bundle_path)
    (result,) = json.loads(json.dumps(as_json(report), allow_nan=False))["results"]
    assert report.passed and report.task == "multi_label"
    scores, parity = result["scores"], result["parity"]
    assert (scores["metric"], scores["images"], scores["value"]) == ("mAP", 8, 1.0)
    assert set(scores["further"]) == {"mAP VOC2007", "mAP uninterpolated", "image AP"}
    assert (parity["images"], parity["decisions"], parity["agreement"], parity["flips"]) == (8, 24, 1.0, [])


def test_a_table_of_the_test_set_has_parity_on_all_of_it(bundle_path: Path, tmp_path: Path) -> None:
    """The table's classes are sorted by name, the bundle's are not."""
    report = of(bundle_path, table := write_table(tmp_path / "images"))
    (result,) = report.results
    assert report.passed and report.notes == [] and report.parity_on == report.data == str(table)
    assert (result.scores.value, result.scores.images, result.parity.images) == (1.0, 16, 16)
    assert as_json(result.scores)["positives"] == [8, 8, 8]


def test_what_int8_costs_of_the_map_is_judged_on_the_whole_test_set(tmp_path: Path) -> None:
    """Of more images than the tiny set has: too few would leave it undecided."""
    swapped = lowered_model(np.ascontiguousarray(WEIGHT[:, ::-1]))
    path = write_several(tmp_path / "b", several_golden(8), int8=swapped)
    table = write_table(tmp_path / "images", 8)
    reasons = {one.precision: one.reasons for one in of(path, table).results}
    assert reasons["fp32"] == []
    assert any("of 192 decisions" in reason and "int8_agreement" in reason for reason in reasons["int8"])
    assert any("on 64 images mAP is" in reason and "int8_metric_drop" in reason for reason in reasons["int8"])
    on_golden = {one.precision: one.reasons for one in of(path).results}
    assert not any("mAP is" in reason for reason in on_golden["int8"])


def test_labels_that_differ_from_those_at_export_are_noted(bundle_path: Path, tmp_path: Path) -> None:
    table = write_table(tmp_path / "images")
    table.write_text(table.read_text().replace("none 0.png,", "none 0.png,red"))
    report = of(bundle_path, table)
    assert report.notes == ["1 images have other labels now than at export"]
    assert report.results[0].scores.value < 1


def test_a_column_a_class_may_leave_labels_unknown(bundle_path: Path, tmp_path: Path) -> None:
    write_table(tmp_path / "images")
    rows = [f"{'-'.join(names) or 'none'} 0.png,{int('red' in names)},{-int('red' in names)}" for names in SHOWN]
    table = tmp_path / "images" / "columns.csv"
    table.write_text("\n".join(["file,red,blue", *rows]))
    report = of(bundle_path, table, "data.table.paths=file", "data.table.classes=*")
    scores = as_json(report.results[0].scores)
    assert scores["positives"] == [4, 0, 0] and scores["per_class"] == [1.0, None, None]


def test_columns_named_like_the_classes_are_found_unasked(bundle_path: Path, tmp_path: Path) -> None:
    write_table(tmp_path / "images")
    rows = [
        f"{'-'.join(names) or 'none'} 0.png,9,{','.join(str(int(name in names)) for name in CLASSES)}"
        for names in SHOWN
    ]
    table = tmp_path / "images" / "columns.csv"
    table.write_text("\n".join([f"path,year,{','.join(CLASSES)}", *rows]))
    assert as_json(of(bundle_path, table).results[0].scores)["positives"] == [4, 4, 4]
    table.write_text(table.read_text().replace(f",{CLASSES[-1]}", ",mauve"))
    with pytest.raises(DataError, match="'classes'"):
        of(bundle_path, table)


def test_of_a_divided_table_the_test_rows_are_read(bundle_path: Path, tmp_path: Path) -> None:
    table = write_table(tmp_path / "images", head="path,classes,split", end=",train")
    with pytest.raises(DataError, match="only rows of train"):
        of(bundle_path, table)
    table.write_text(table.read_text().replace(" 0.png,red,train", " 0.png,red,Test"))
    report = of(bundle_path, table)
    assert report.results[0].scores.images == 1
    assert any("1 of 16 rows are used, those of test" in note for note in report.notes)


def test_a_folder_of_classes_is_refused_for_a_table(bundle_path: Path, images_path: Path) -> None:
    with pytest.raises(DataError, match=r"one class.*--data labels\.csv"):
        of(bundle_path, images_path)
    with pytest.raises(DataError, match=r"Table 'gone\.csv' does not exist"):
        of(bundle_path, Path("gone.csv"))


def test_what_is_set_of_a_table_is_checked_as_in_a_recipe() -> None:
    assert table_options(["data.table.separator=;"]).separator == ";"
    with pytest.raises(InputError, match="paths"):
        table_options(["data.table.path=file"])
    with pytest.raises(InputError, match=r"train\.epochs"):
        table_options(["train.epochs=3"])


def test_classes_that_the_bundle_does_not_have_are_named(bundle_path: Path, tmp_path: Path) -> None:
    table = write_table(tmp_path / "images")
    table.write_text(table.read_text().replace("none 0.png,", "none 0.png,mauve"))
    with pytest.raises(DataError, match="'mauve'"):
        of(bundle_path, table)


def test_a_table_serves_a_bundle_of_one_class_an_image(images_path: Path, tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "one")
    rows = [f"{file.relative_to(images_path)},{file.parent.name}" for file in sorted(images_path.rglob("*.png"))]
    (images_path / "labels.csv").write_text("\n".join(["path,classes", *rows]))
    report = of(path, images_path / "labels.csv")
    assert report.passed and report.notes == []
    assert (report.results[0].scores.value, report.results[0].parity.images) == (1.0, 12)
    (images_path / "labels.csv").write_text("\n".join(["path,classes", rows[0] + "|red"]))
    with pytest.raises(DataError, match="one class per image"):
        of(path, images_path / "labels.csv")


def test_golden_logits_that_decide_otherwise_fail(tmp_path: Path) -> None:
    golden = several_golden()
    other = replace(golden, logits=-golden.logits)
    report = of(write_several(tmp_path / "b", other))
    assert not report.passed and "8 of 8 images are decided differently" in report.results[0].reasons[0]


@pytest.mark.parametrize("top", [1, 2, 3])
def test_all_that_is_decided_is_predicted_whatever_is_asked_for(bundle_path: Path, tmp_path: Path, top: int) -> None:
    write_table(tmp_path / "images")
    bundle = open_bundle(bundle_path)
    paths = [tmp_path / "images" / f"{'-'.join(names) or 'none'} 1.png" for names in SHOWN]
    for names, one in zip(SHOWN, predict(bundle, open_session(bundle, threads=1), paths, top), strict=True):
        assert {each.name for each in one.classes if each.is_decided} == set(names)
        assert len(one.classes) == max(top, len(names))
        assert as_json(one)["decided"] == [each.name for each in one.classes if each.probability > 0.5]
        assert list(as_json(one)["classes"].values()) == sorted(as_json(one)["classes"].values(), reverse=True)


def test_probabilities_are_the_sigmoid_of_the_logits(bundle_path: Path, tmp_path: Path) -> None:
    write_table(tmp_path / "images")
    bundle = open_bundle(bundle_path)
    session = open_session(bundle, threads=1)
    (one,) = predict(bundle, session, [tmp_path / "images" / "red-blue 1.png"])
    (logits,) = session.run(striped(("red", "blue"), 1)[None])
    expected = dict(zip(CLASSES, 1 / (1 + np.exp(-logits.astype(np.float64))), strict=True))
    assert {each.name: each.probability for each in one.classes} == pytest.approx(expected, abs=1e-5)


def test_triton_serves_the_logits(bundle_path: Path, tmp_path: Path) -> None:
    (model,) = triton_from_bundle(open_bundle(bundle_path), tmp_path / "models")
    said = (tmp_path / "models" / model / "config.pbtxt").read_text()
    assert "dims: [ 3 ]" in said and 'label_filename: "labels.txt"' in said
