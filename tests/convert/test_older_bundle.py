"""A second export of a run into the folder of its bundle."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest

from sskt_edge.bundle.bundle import MANIFEST, Bundle, open_bundle
from sskt_edge.bundle.manifest import Manifest
from sskt_edge.common.errors import BundleError
from sskt_edge.common.progress import QUIET, Bar
from sskt_edge.convert.bundle_from_run import bundle_from_run
from sskt_edge.convert.evaluation_set import Images, calibration_list, open_images
from sskt_edge.convert.fp16_from_fp32 import fp16_from_fp32
from sskt_edge.convert.older_bundle import Kept, announce, find_older, what_stays
from sskt_edge.inference.backends.tensorrt.sidecar import Sidecar, this_platform
from sskt_edge.inference.bundle_engines import look_at_engines
from sskt_edge.recipe.export_options import with_options as lay_options_over
from sskt_edge.targets.run_folder import TrainedNetwork
from tests.convert.test_bundle_from_run import Lines, files_in

BOTH = "export.precisions=['fp16', 'int8']"
FP32 = "export.precisions=['fp32']"
SETTINGS = ("export.parity.int8_agreement=0.5", "export.parity.int8_metric_drop=1", "export.calibration=20")


def with_options(run: TrainedNetwork, *overrides: str) -> TrainedNetwork:
    return replace(run, recipe=lay_options_over(run.recipe, overrides=(*SETTINGS, *overrides)))


def with_engine(bundle: Bundle, precision: str) -> Bundle:
    """The bundle with an engine of a precision, which is opened nowhere here."""
    manifest, plan = bundle.manifest, f"engine of {precision}".encode()
    sidecar = Sidecar(
        flavour="tensorrt",
        version="10.3.0",
        gpu="Orin",
        compute_capabilities=["8.7"],
        network=precision,
        batch=manifest.input.batch,
        shape=(16, 16, 3),
        tf32=False,
        onnx_sha256=bundle.precision(precision).sha256,
        plan_sha256=hashlib.sha256(plan).hexdigest(),
        created=datetime(2026, 1, 2, tzinfo=timezone.utc),
        tool_version="0.1.0",
        platform=this_platform(),
    )
    stem = f"engines/tensorrt-10.3.0-orin-{precision}"
    return bundle.with_files({f"{stem}.plan": plan, f"{stem}.json": sidecar.as_bytes(), f"{stem}.log": b"built"})


@pytest.fixture(scope="module")
def images(tiny_run: TrainedNetwork) -> Images:
    opened = open_images(with_options(tiny_run), QUIET)
    return opened.answered(np.zeros((len(opened.searched), len(tiny_run.classes)), dtype=np.float32))


@pytest.fixture(scope="module")
def full(tiny_bundle: Bundle, images: Images, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of every precision, with two engines, and with files that are the user's."""
    path = shutil.copytree(tiny_bundle.path, tmp_path_factory.mktemp("full") / "bundle")
    half = fp16_from_fp32(tiny_bundle.read("model.onnx"))  # it stands for int8 too, which takes a search
    further = {"model.fp16.onnx": half, "model.int8.onnx": half, "calibration.txt": calibration_list(images.hashes)}
    bundle = open_bundle(path).with_files(further)
    manifest = bundle.manifest.model_dump(mode="json")
    manifest["parity"] |= {"int8_agreement": 0.5, "int8_metric_drop": 1.0}
    measured = manifest["precisions"]["fp32"]["measured"]
    calibration = {"images": 20, "method": "minmax", "layers": 3, "kept": []}
    for precision, told in (("fp16", None), ("int8", calibration)):
        name = f"model.{precision}.onnx"
        facts = {"file": name, **manifest["files"][name]}
        manifest["precisions"][precision] = {**facts, "measured": measured, "calibration": told}
    (path / MANIFEST).write_bytes(Manifest.model_validate(manifest).as_bytes())
    bundle = open_bundle(path)
    for precision in ("fp32", "int8"):
        bundle = with_engine(bundle, precision)
    (path / "notes.txt").write_text("mine")
    (path / "engines" / "mine.txt").write_text("mine too")
    return path


@pytest.fixture
def older(full: Path, tmp_path: Path) -> Path:
    return shutil.copytree(full, tmp_path / "bundle")


def but_manifest(path: Path) -> dict[str, bytes]:
    return {name: content for name, content in files_in(path).items() if name not in (MANIFEST, ".lock")}


def stays(path: Path, run: TrainedNetwork, images: Images, *options: str, fp32: bytes | None = None) -> Kept:
    """What of a bundle stays at an export with these options, of this fp32 file, or of the one that it has."""
    content = open_bundle(path).read("model.onnx") if fp32 is None else fp32
    run = with_options(run, *options)
    return what_stays(find_older(path, run, False), content, run, images, False)


class Building(Lines):
    """Progress, at whose measuring somebody else builds an engine into the bundle."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Bar]:
        if what == "inference" and not (self._path / "engines" / "tensorrt-10.3.0-orin-fp16.plan").exists():
            with_engine(open_bundle(self._path), "fp16")
        with super().bar(what, total) as bar:
            yield bar


@pytest.mark.slow
def test_exporting_again_keeps_all_that_the_bundle_had(
    tiny_run: TrainedNetwork, older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though all of it is asked for, nothing is made again; what came into it meanwhile stays too."""

    def search(*_: object) -> None:
        raise AssertionError("int8 is searched for again")

    monkeypatch.setattr("sskt_edge.convert.precisions_from_fp32.int8_within_budget", search)
    (older / "nowhere").symlink_to("/nowhere")
    os.mkfifo(older / "pipe")
    before, had, progress = open_bundle(older).manifest, but_manifest(older), Building(older)

    run = with_options(tiny_run, BOTH, "export.devices=['tensorrt']")
    bundle = bundle_from_run(run, older, progress)

    assert but_manifest(older).items() >= had.items()
    assert (older / "nowhere").is_symlink() and (older / "pipe").is_fifo()
    assert list(bundle.manifest.precisions) == ["fp32", "fp16", "int8"]
    for precision in ("fp16", "int8"):
        assert bundle.manifest.precisions[precision] == before.precisions[precision]
    assert {engine.sidecar.network for engine in look_at_engines(bundle).whole} == {"fp32", "fp16", "int8"}
    assert [line for line in progress.said if line.startswith("kept in") and "model.int8.onnx" in line]
    assert list(older.parent.iterdir()) == [older]


def test_precisions_that_are_not_asked_for_stay(tiny_run: TrainedNetwork, older: Path, images: Images) -> None:
    for options in ((FP32,), ("export.precisions=['fp16']",), (FP32, "export.calibration=7")):
        kept = stays(older, tiny_run, images, *options)
        assert (list(kept.records), kept.goes) == (["fp16", "int8"], [])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ((BOTH, "export.parity.int8_agreement=0.6"), ["int8_agreement was 0.5, now 0.6", "int8.plan"]),
        ((FP32, "export.parity.int8_agreement=0.6"), ["int8_agreement was 0.5, now 0.6", "int8.plan"]),
        ((FP32, "export.parity.fp16_agreement=0.9"), ["fp16.onnx (export.parity.fp16_agreement was 0.99"]),
        ((FP32, "export.batch.opt=5"), ["fp32.plan (built for batches of 1 to 8, best 4", "int8.plan"]),
    ],
)
def test_what_was_made_with_other_settings_goes_with_its_engines(
    options: tuple[str, ...], named: list[str], tiny_run: TrainedNetwork, older: Path, images: Images
) -> None:
    goes = stays(older, tiny_run, images, *options).goes

    assert len(goes) == len(named), goes
    for words, line in zip(named, goes, strict=True):
        assert words in line


def test_int8_of_other_calibration_images_goes(tiny_run: TrainedNetwork, older: Path, images: Images) -> None:
    goes = stays(older, tiny_run, images._replace(hashes=images.hashes[1:]), BOTH).goes
    assert "model.int8.onnx (calibrated with 20 images, now with 19" in goes[0] and "orin-int8.plan" in goes[1]


def test_of_another_fp32_file_nothing_stays(
    tiny_run: TrainedNetwork, older: Path, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sskt_edge.convert.older_bundle.version_of", {"torch": "9.9"}.get)
    kept = stays(older, tiny_run, images, FP32, fp32=b"of another torch")
    assert (kept.records, kept.files) == ({}, {})
    assert len(kept.goes) == 4 and "its content differs; at the last export, torch was" in kept.goes[0]
    assert "now 9.9" in kept.goes[0]


def refusing(path: Path, why: dict[str, str]) -> None:
    """Make it a bundle of an export that refused these precisions."""
    manifest = open_bundle(path).manifest
    (path / MANIFEST).write_bytes(manifest.model_copy(update={"refused": why}).as_bytes())


def test_why_a_precision_was_refused_stays_until_it_is_asked_for_again(
    tiny_run: TrainedNetwork, tiny_bundle: Bundle, images: Images, tmp_path: Path
) -> None:
    path = shutil.copytree(tiny_bundle.path, tmp_path / "bundle")
    refused = {"fp16": "not finite", "int8": "too far", "int8-cpu": "too far too"}
    refusing(path, refused)
    parity = tiny_bundle.manifest.parity  # SETTINGS are those of the other bundle
    same = (
        f"export.parity.int8_agreement={parity.int8_agreement}",
        f"export.parity.int8_metric_drop={parity.int8_metric_drop}",
    )

    assert stays(path, tiny_run, images, *same, FP32).refused == refused
    assert stays(path, tiny_run, images, *same, BOTH).refused == {}
    for_tensorrt = stays(path, tiny_run, images, *same, "export.precisions=['int8']", "export.devices=['tensorrt']")
    assert for_tensorrt.refused.keys() == {"fp16", "int8-cpu"} and for_tensorrt.outdated == {}

    other = stays(path, tiny_run, images, *same, FP32, "export.parity.int8_metric_drop=0.5")
    assert other.refused.keys() == {"fp16"} and other.outdated.keys() == {"int8", "int8-cpu"}
    assert other.goes == []
    progress = Lines()
    announce(other, path, False, progress)
    assert ["int8_metric_drop was" in line for line in progress.said] == [True, True]
    assert stays(path, tiny_run, images, *same, FP32, fp32=b"of another torch").refused == {}


@pytest.mark.slow
def test_what_would_have_to_go_is_named_and_stays_until_it_is_asked_for(tiny_run: TrainedNetwork, older: Path) -> None:
    before, run, progress = files_in(older), with_options(tiny_run, FP32, "export.parity.int8_metric_drop=0"), Lines()
    with pytest.raises(BundleError, match="--replace"):
        bundle_from_run(run, older)
    assert files_in(older) == before

    bundle = bundle_from_run(run, older, progress, replace=True)

    assert list(bundle.manifest.precisions) == ["fp32", "fp16"]
    assert [engine.sidecar.network for engine in look_at_engines(bundle).whole] == ["fp32"]
    gone = {"model.int8.onnx", "calibration.txt", *(name for name in before if "orin-int8" in name)}
    assert but_manifest(older).keys() == before.keys() - gone - {MANIFEST, ".lock"}
    (line,) = [line for line in progress.said if line.startswith("dropped from")]
    assert "model.int8.onnx (" in line and "orin-int8.plan (" in line and "orin-fp32" not in line


def test_a_bundle_that_is_broken_is_not_replaced_unasked(tiny_run: TrainedNetwork, older: Path) -> None:
    listed = set(open_bundle(older).manifest.files)
    (older / "model.onnx").write_bytes(b"broken")

    with pytest.raises(BundleError, match="--replace"):
        find_older(older, tiny_run, False)

    found = find_older(older, tiny_run, True)
    assert found is not None and found.bundle is None and found.ours >= listed
    assert not found.ours & {"notes.txt", "engines/mine.txt"}


def test_a_broken_manifest_makes_no_file_of_the_users_ours(tiny_run: TrainedNetwork, older: Path) -> None:
    manifest = json.loads((older / MANIFEST).read_bytes())
    manifest["files"] |= {name: {} for name in ("notes.txt", "engines/mine.txt", "../beside.plan")}
    (older / MANIFEST).write_text(json.dumps(manifest))

    found = find_older(older, tiny_run, True)

    assert found is not None and found.bundle is None
    assert not found.ours & {"notes.txt", "engines/mine.txt", "../beside.plan"}
    assert {"model.int8.onnx", "engines/tensorrt-10.3.0-orin-int8.plan"} <= found.ours


@pytest.mark.parametrize("replaced", [False, True])
def test_a_users_file_with_a_name_of_an_export_is_not_overwritten(
    replaced: bool, tiny_run: TrainedNetwork, tiny_bundle: Bundle, tmp_path: Path
) -> None:
    path = shutil.copytree(tiny_bundle.path, tmp_path / "bundle")
    (path / "calibration.txt").write_text("mine")

    with pytest.raises(BundleError, match=r"calibration\.txt"):
        find_older(path, tiny_run, replaced)


def test_only_the_users_files_are_carried_over(tiny_run: TrainedNetwork, older: Path, tmp_path: Path) -> None:
    found = find_older(older, tiny_run, False)
    assert found is not None
    found.carry(tmp_path / "new")
    assert files_in(tmp_path / "new") == {"notes.txt": b"mine", "engines/mine.txt": b"mine too"}

    (older / "engines" / "mine.txt").unlink()
    found.carry(tmp_path / "newer")
    assert not (tmp_path / "newer" / "engines").exists()
