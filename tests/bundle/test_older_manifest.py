from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sskt_edge.bundle.bundle import MANIFEST, open_bundle
from sskt_edge.bundle.manifest import parse
from sskt_edge.common import seal
from sskt_edge.common.errors import BundleError
from sskt_edge.tasks.wilson import wilson_interval
from tests.older import BUNDLES, unpacked


def older(schema: int, folder: Path) -> dict[str, Any]:
    raw: dict[str, Any] = json.loads((unpacked(f"bundle_schema{schema}", folder) / MANIFEST).read_bytes())
    return raw


@pytest.mark.parametrize("name", BUNDLES)
def test_the_golden_set_of_an_older_bundle_has_the_shape_of_its_manifest(name: str, tmp_path: Path) -> None:
    bundle = open_bundle(unpacked(name, tmp_path))
    assert (bundle.manifest.input.kind, bundle.manifest.input.shape) == ("image", (16, 16, 3))
    assert bundle.golden().images.shape[1:] == bundle.manifest.input.shape
    assert bundle.manifest.is_protected == (name != "bundle_schema2")
    assert bool(bundle.notes) == (name == "bundle_schema2")


@pytest.mark.parametrize("schema", [2, 3])
def test_what_was_measured_of_an_older_bundle_keeps_its_figures(schema: int, tmp_path: Path) -> None:
    raw = older(schema, tmp_path)
    now = open_bundle(tmp_path / f"bundle_schema{schema}").manifest
    assert now.task == "single_label" and now.test is not None
    assert (now.test.metric, now.test.value, now.test.images) == (
        "accuracy",
        raw["test"]["top1"],
        raw["test"]["images"],
    )
    assert now.test.interval == wilson_interval(now.test.value, now.test.images)
    for precision, record in now.precisions.items():
        for one, before in zip(record.measured, raw["precisions"][precision]["measured"], strict=True):
            assert (one.value, one.agreement) == (before["top1"], before["top1_agreement"])
            assert one.interval == wilson_interval(one.value, one.images)


@pytest.mark.parametrize("name", BUNDLES)
def test_a_file_put_into_an_older_bundle_makes_it_one_of_today(name: str, tmp_path: Path) -> None:
    before = open_bundle(unpacked(name, tmp_path))
    after = before.with_files({"note.txt": b"a note"})
    written = json.loads((after.path / MANIFEST).read_bytes())
    assert written["schema_version"] == 4 and written["input"]["shape"] == [16, 16, 3]
    assert "height" not in written["input"] and "is_protected" not in written
    assert after.manifest.is_protected and after.manifest.precisions == before.manifest.precisions


@pytest.mark.parametrize("schema", [2, 3])
def test_a_manifest_without_its_hash_is_read_of_schema_2_alone(schema: int, tmp_path: Path) -> None:
    raw = {name: value for name, value in older(schema, tmp_path).items() if name != seal.KEY}
    if schema == 2:
        assert not parse(json.dumps(raw).encode()).is_protected
    else:
        with pytest.raises(BundleError, match="lost its own SHA-256"):
            parse(json.dumps(raw).encode())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda raw: raw["input"].update(height=17), "square"),
        (lambda raw: raw["input"].update(height=2000, width=2000), r"input\.shape"),
        (lambda raw: raw["input"].pop("width"), r"input\."),
        (lambda raw: raw["input"].update(layout="NCHW"), r"input\."),
        (lambda raw: raw["input"].update(channels=1), "three channels"),
        (lambda raw: raw["input"].update(unheard_of=1), r"input\.unheard_of"),
        (lambda raw: raw.update(input=[]), "input"),
        (lambda raw: raw["test"].update(top1=7), r"test\.value"),
        (lambda raw: raw["precisions"]["fp32"]["measured"][0].pop("top1"), r"precisions\.fp32\.measured"),
        (lambda raw: raw["precisions"]["fp32"].update(measured={}), r"precisions\.fp32\.measured"),
    ],
    ids=[
        "no square",
        "too large",
        "no width",
        "layout",
        "channels",
        "unknown",
        "no table",
        "share",
        "no accuracy",
        "no list",
    ],
)
def test_what_does_not_hold_in_an_older_manifest_is_refused(
    change: Callable[[dict[str, Any]], None], said: str, tmp_path: Path
) -> None:
    raw = older(2, tmp_path)
    change(raw)
    with pytest.raises(BundleError, match=said):
        parse(json.dumps(raw).encode())
