from __future__ import annotations

import json
import platform
import shutil
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sskt_edge.bundle.bundle import MANIFEST, Bundle, open_bundle
from sskt_edge.common.errors import DataError
from sskt_edge.common.json import as_json
from sskt_edge.evaluation.evaluate import Report, SessionResult, evaluate, evaluate_data
from sskt_edge.inference.open_sessions import open_sessions
from tests.bundle.tiny import WEIGHT, coloured, tiny_golden, tiny_model, write_bundle
from tests.sealed import changed, of_before

pytest.importorskip("onnxruntime")


def on_folder(path: Path, data: Path, skip_bad: bool = False) -> Report:
    bundle = open_bundle(path)
    return evaluate_data(
        bundle,
        open_sessions(bundle, backend="onnxruntime", provider="cpu", threads=1),
        data,
        skip_bad=skip_bad,
    )


def on_golden(bundle: Bundle) -> Report:
    return evaluate(bundle, open_sessions(bundle, backend="onnxruntime", provider="cpu", threads=1))


def only(report: Report) -> SessionResult:
    (result,) = report.results
    return result


def test_the_network_that_was_exported_passes(bundle_path: Path) -> None:
    report = on_golden(open_bundle(bundle_path))
    result = only(report)
    assert report.passed and result.reasons == [] and report.notes == []
    assert (result.scores.images, result.scores.value) == (6, 1.0)
    assert result.parity.max_abs < 1e-5 and report.parity_on == "golden"
    assert result.latency_ms is not None and report.fastest is result


def test_a_manifest_without_its_own_hash_is_noted(bundle_path: Path) -> None:
    of_before(bundle_path / "manifest.json", schema_version=2)
    (note,) = as_json(on_golden(open_bundle(bundle_path)))["notes"]
    assert "manifest.json" in note and "without a hash" in note


def test_a_report_is_plain_json(bundle_path: Path) -> None:
    plain = json.loads(json.dumps(as_json(on_golden(open_bundle(bundle_path))), allow_nan=False))
    assert plain["passed"] is True and plain["bundle"] == "tiny" and plain["data"] == "golden"
    (result,) = plain["results"]
    assert (result["runner"], result["precision"], result["passed"]) == ("onnxruntime-cpu", "fp32", True)
    assert result["parity"]["images"] == 6 and result["scores"]["confusion"] == [[2, 0, 0], [0, 2, 0], [0, 0, 2]]
    assert plain["versions"] == {
        "sskt-edge": version("sskt-edge"),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "pillow": version("pillow"),
    }
    assert plain["conditions"]["processor"]["cores"] >= 1 and plain["fastest"] == "fp32 onnxruntime-cpu"


def test_logits_that_differ_fail_and_say_by_how_much(tmp_path: Path) -> None:
    golden = tiny_golden()
    logits = golden.logits.copy()
    logits[0, 0] += 0.5
    report = on_golden(open_bundle(write_bundle(tmp_path / "b", golden=replace(golden, logits=logits))))
    assert not report.passed
    assert report.fastest is None
    assert "differ by up to 0.5, which is 0.1" in only(report).reasons[0]


def test_a_reference_that_is_not_finite_fails(tmp_path: Path) -> None:
    golden = tiny_golden()
    logits = np.full_like(golden.logits, np.nan)
    report = on_golden(open_bundle(write_bundle(tmp_path / "b", golden=replace(golden, logits=logits))))
    assert not report.passed and "not finite" in only(report).reasons[0]


def test_the_whole_test_set_from_a_folder_has_accuracy_and_parity(bundle_path: Path, images_path: Path) -> None:
    report = on_folder(bundle_path, images_path)
    assert report.passed and report.notes == []
    assert (only(report).scores.images, only(report).scores.value, report.data) == (12, 1.0, str(images_path))
    assert only(report).parity.images == 12 and report.parity_on == str(images_path)


def test_the_folders_classes_take_the_bundles_numbers(bundle_path: Path, images_path: Path) -> None:
    """The folder is sorted by name, the bundle is not."""
    (images_path / "red" / "0.png").rename(images_path / "green" / "red.png")
    report = on_folder(bundle_path, images_path)
    assert report.classes == ("red", "blue", "green")
    assert as_json(only(report).scores)["confusion"] == [[3, 0, 0], [0, 4, 0], [1, 0, 4]]
    assert report.notes == ["1 images have other labels now than at export"]


def test_a_test_folder_inside_is_the_one_meant(bundle_path: Path, images_path: Path) -> None:
    for part in ("test", "train"):
        (images_path.parent / "data" / part).mkdir(parents=True)
    images_path.rename(images_path.parent / "data" / "test")
    assert on_folder(bundle_path, images_path.parent / "data").results[0].scores.images == 12


def test_images_that_the_bundle_does_not_know_are_counted(bundle_path: Path, images_path: Path) -> None:
    Image.fromarray(coloured("blue", 77)).save(images_path / "blue" / "77.png")
    (images_path / "red" / "0.png").unlink()
    report = on_folder(bundle_path, images_path)
    assert only(report).scores.images == 12 and only(report).parity.images == 11
    assert report.notes == [
        "1 of 12 images are not in the bundle's test set: they count for accuracy, not for parity",
        f"1 of the 12 images in the bundle's test set are not in '{images_path}'",
    ]


@pytest.fixture
def unknown(tmp_path: Path) -> Path:
    """A folder of which the bundle knows no image, as where another decoder gives other pixels."""
    for name in ("red", "blue", "green"):
        (tmp_path / "new" / name).mkdir(parents=True)
        Image.fromarray(coloured(name, 99)).save(tmp_path / "new" / name / "a.png")
    return tmp_path / "new"


def test_a_folder_of_unknown_images_is_judged_by_the_golden_ones(bundle_path: Path, unknown: Path) -> None:
    report = on_folder(bundle_path, unknown)
    assert report.passed and (only(report).scores.images, only(report).scores.value) == (3, 1.0)
    assert only(report).parity.images == 6 and only(report).parity.max_abs < 1e-5
    assert (report.data, report.parity_on) == (str(unknown), "golden")
    assert as_json(report)["parity_on"] == "golden"
    assert report.notes == [
        "none of the 3 images is in the bundle's test set: parity is judged on the golden images",
    ]


def test_unknown_images_do_not_hide_a_network_that_answers_otherwise(tmp_path: Path, unknown: Path) -> None:
    golden = tiny_golden()
    other = replace(golden, logits=golden.logits + np.float32(0.5))
    report = on_folder(write_bundle(tmp_path / "b", golden=other), unknown)
    assert not report.passed and "differ by up to 0.5" in only(report).reasons[0]


def test_a_known_image_that_answers_otherwise_fails(tmp_path: Path, images_path: Path) -> None:
    golden = tiny_golden()
    logits = golden.test_logits.copy()
    logits[7, 1] += 1
    path = write_bundle(tmp_path / "b", golden=replace(golden, test_logits=logits))
    report = on_folder(path, images_path)
    assert not report.passed and "differ by up to 1," in only(report).reasons[0]


def test_other_classes_are_listed(bundle_path: Path, images_path: Path) -> None:
    (images_path / "red").rename(images_path / "rouge")
    with pytest.raises(DataError, match=r"Missing here: 'red'\. Unknown to the bundle: 'rouge'\."):
        on_folder(bundle_path, images_path)


def test_class_names_are_compared_in_nfc(bundle_path: Path, images_path: Path) -> None:
    """The bundle comes from Linux, the folder from macOS."""
    with changed(bundle_path / MANIFEST) as manifest:
        manifest["classes"] = ["gr\u00fcn" if name == "green" else name for name in manifest["classes"]]
    (images_path / "green").rename(images_path / "gru\u0308n")
    report = on_folder(bundle_path, images_path)
    assert report.passed and only(report).scores.value == 1.0


def test_an_empty_class_of_the_bundle_is_asked_for_images_alone(bundle_path: Path, images_path: Path) -> None:
    for path in (images_path / "red").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"no images for class 'red', which the bundle has") as caught:
        on_folder(bundle_path, images_path)
    assert "remove" not in str(caught.value)


def test_test_images_are_found_in_any_case_and_the_rest_is_noted(bundle_path: Path, images_path: Path) -> None:
    (images_path / "red" / "1.cr2").write_bytes(b"")
    root = images_path.parent / "data"
    shutil.copytree(images_path, root / "Train")
    images_path.rename(root / "VAL")
    report = on_folder(bundle_path, root)
    assert report.data == str(root / "VAL") and only(report).scores.images == 12
    assert [any(said in note for note in report.notes) for said in ("VAL/ is the test set", "1 .cr2")] == [True, True]


def test_training_images_alone_are_not_evaluated_by_chance(bundle_path: Path, images_path: Path) -> None:
    root = images_path.parent / "data"
    root.mkdir()
    images_path.rename(root / "train")
    with pytest.raises(DataError, match=r"has train/, but no test/<class>"):
        on_folder(bundle_path, root)


def test_bad_images_stop_or_are_noted(bundle_path: Path, images_path: Path) -> None:
    (images_path / "red" / "0.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"red/0\.png.*--skip-bad"):
        on_folder(bundle_path, images_path)
    report = on_folder(bundle_path, images_path, skip_bad=True)
    assert only(report).scores.images == 11 and any("left out" in note and "0.png" in note for note in report.notes)


def off_by(share: float) -> bytes:
    """The tiny network with every other class's weights moved, in a file."""
    model = tiny_model()
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == "weight")
    moved = WEIGHT + np.float32(share) * np.roll(WEIGHT, 1, axis=1)
    weight.CopyFrom(pytest.importorskip("onnx").numpy_helper.from_array(moved.astype(np.float32), "weight"))
    content: bytes = model.SerializeToString()
    return content


def by_precision(path: Path, data: Path | None = None) -> tuple[Report, dict[str, list[str]]]:
    bundle = open_bundle(path)
    openings = open_sessions(bundle, backend="onnxruntime", provider="cpu", threads=1)
    report = evaluate(bundle, openings) if data is None else evaluate_data(bundle, openings, data)
    return report, {result.precision: result.reasons for result in report.results}


def test_each_precision_is_judged_by_its_own_tolerance(tmp_path: Path, images_path: Path) -> None:
    """Logits that are off by a tenth, with every class as it was: too far for fp32, near enough for the others."""
    path = write_bundle(tmp_path / "b", fp16=off_by(0.1), int8=off_by(0.1), int8_cpu=off_by(0.1))
    report, reasons = by_precision(path, images_path)
    assert report.passed and reasons == {"fp32": [], "fp16": [], "int8": [], "int8-cpu": []}
    report, reasons = by_precision(write_bundle(tmp_path / "c", model=off_by(0.1)))
    assert not report.passed and "differ by up to" in reasons["fp32"][0]


def test_classes_that_change_fail_and_the_rest_passes(tmp_path: Path, images_path: Path) -> None:
    path = write_bundle(tmp_path / "b", fp16=off_by(5.0), int8=off_by(5.0))
    report, reasons = by_precision(path, images_path)
    assert not report.passed and report.fastest is not None and report.fastest.precision == "fp32"
    assert "have the trained network's class" in reasons["fp16"][0] and "budget 99 %" in reasons["fp16"][0]
    assert any("accuracy is" in reason and "lower" in reason for reason in reasons["int8"])


def test_what_int8_costs_is_judged_on_the_whole_test_set_alone(tmp_path: Path, images_path: Path) -> None:
    path = write_bundle(tmp_path / "b", int8=off_by(5.0))
    assert not any("accuracy is" in reason for reason in by_precision(path)[1]["int8"])
    (images_path / "red" / "0.png").unlink()
    assert not any("accuracy is" in reason for reason in by_precision(path, images_path)[1]["int8"])
