from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sskt_edge.bundle.manifest import parse, run_of
from sskt_edge.common.errors import BundleError
from tests.bundle.tiny import MEASURED, manifest_of
from tests.sealed import as_sealed

Change = Callable[[dict[str, Any]], Any]


def plain() -> dict[str, Any]:
    return manifest_of({"model.onnx": b"model", "golden.safetensors": b"golden"})


def test_a_manifest_is_the_same_after_writing_and_parsing() -> None:
    manifest = parse(as_sealed(plain()))
    assert parse(manifest.as_bytes()) == manifest
    assert manifest.created.isoformat() == "2026-01-02T03:04:05+00:00"


def test_a_newer_schema_asks_for_an_upgrade_whatever_else_it_holds() -> None:
    with pytest.raises(BundleError, match=r"schema version 5; .*reads up to 4.*pip install --upgrade sskt-edge"):
        parse(b'{"schema_version": 5, "unheard_of": true}')


def test_a_manifest_of_today_without_its_hash_is_refused() -> None:
    with pytest.raises(BundleError, match="lost its own SHA-256"):
        parse(json.dumps(plain()).encode())


def test_an_older_schema_asks_for_another_export() -> None:
    with pytest.raises(BundleError, match=r"older sskt-edge \(schema version 1\)"):
        parse(b'{"schema_version": 1}')


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000], ids=["empty", "cut", "bytes", "deep"])
def test_what_is_no_json_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match="not JSON"):
        parse(content)


@pytest.mark.parametrize("content", [b"[]", b"null", b"{}", b'{"schema_version": "x"}'])
def test_json_that_is_no_manifest_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match="not valid"):
        parse(content)


@pytest.mark.parametrize("key", sorted(plain()))
def test_a_missing_key_is_named(key: str) -> None:
    raw = plain()
    del raw[key]
    with pytest.raises(BundleError, match=f"{key}: Field required"):
        parse(as_sealed(raw))


CHANGES: dict[str, tuple[Change, str]] = {
    "unknown key": (lambda m: m.update(extra=1), "extra: Extra inputs"),
    "unknown inner key": (lambda m: m["input"].update(mean=0), "input.mean: Extra inputs"),
    "other layout": (lambda m: m["input"].update(layout="NCHW"), "input.layout"),
    "batch order": (lambda m: m["input"]["batch"].update(opt=9), "expected min <= opt <= max, got 1, 9, 5"),
    "no class": (lambda m: m.update(classes=[]), "classes"),
    "class twice": (lambda m: m.update(classes=["a", "a"]), "occurs twice"),
    "unknown task": (lambda m: m.update(task="ranking"), "task: .*'ranking'"),
    "another interval": (
        lambda m: m["precisions"]["fp32"].update(measured=[{**MEASURED, "interval": [0.5]}]),
        "interval",
    ),
    "percent": (lambda m: m["test"].update(value=76.9), "test.value"),
    "no number": (lambda m: m["parity"].update(int8_metric_drop=float("nan")), "finite"),
    "no hash": (lambda m: m["lineage"].update(data_sha256="abc"), "lineage.data_sha256"),
    "a path for the run": (lambda m: m["lineage"].update(run="runs/x"), "folder's name only"),
    "unknown tolerance": (lambda m: m["parity"].update(fp8=1), "parity.fp8: Extra inputs"),
    "unknown precision": (lambda m: m["precisions"].update(int4=m["precisions"]["fp32"]), "precisions.int4"),
    "nothing measured": (lambda m: m["precisions"]["fp32"].update(measured=[]), "at least 1 item"),
    "there and refused": (lambda m: m["refused"].update(fp32="too far"), "listed under precisions"),
    "no fp32": (lambda m: m.update(precisions={}), "'fp32' is missing"),
    "broken chain": (lambda m: m["lineage"].update(onnx_sha256="0" * 64), "not the hash of the fp32 file"),
    "unlisted model": (lambda m: m["files"].pop("model.onnx"), "does not list 'model.onnx'"),
    "no ONNX file": (lambda m: m["precisions"]["fp32"].update(file="model.bin"), "precisions.fp32.file"),
    "a clip for an image": (lambda m: m["input"].update(shape=[4, 8, 8, 3]), r"square \[S,S,3\]"),
    "no square": (lambda m: m["input"].update(shape=[8, 9, 3]), r"square \[S,S,3\]"),
    "a grey image": (lambda m: m["input"].update(shape=[8, 8, 1]), "three channels"),
    "a row of pixels": (lambda m: m["input"].update(shape=[8, 3]), "input.shape"),
    "five dimensions": (lambda m: m["input"].update(kind="clip", shape=[2, 2, 8, 8, 3]), "input.shape"),
    "a film": (lambda m: m["input"].update(kind="clip", shape=[65, 8, 8, 3]), "at most 64 frames"),
    "a clip of posters": (lambda m: m["input"].update(kind="clip", shape=[64, 1024, 1024, 3]), "values"),
    "a kind that breaks a line": (lambda m: m["input"].update(kind="clip\n"), "input.kind"),
    "its own word for it": (lambda m: m.update(is_protected=True), "is_protected"),
    "a side of a poster": (lambda m: m["input"].update(shape=[200_000, 200_000, 3]), "input.shape"),
    "a batch of millions": (lambda m: m["input"]["batch"].update(max=10**12), "input.batch.max"),
    "a number without end": (lambda m: m.update(parameters=10**400), "parameters"),
    "a size without end": (lambda m: m["files"]["model.onnx"].update(bytes=10**30), "files.model.onnx.bytes"),
    "more classes than any network": (lambda m: m.update(classes=[str(n) for n in range(70_000)]), "classes"),
    "other size": (lambda m: m["files"]["model.onnx"].update(bytes=1), "same hash and size"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_manifest_that_does_not_hold_is_refused(name: str) -> None:
    change, message = CHANGES[name]
    raw = plain()
    change(raw)
    with pytest.raises(BundleError, match=message):
        parse(as_sealed(raw))


@pytest.mark.parametrize(
    "name", ["../model.onnx", "a/../../b", "/etc/passwd", "a//b", "./a", "a/", "", "a\\b", "C:a", "a\0b", ".."]
)
def test_a_file_name_that_leaves_the_bundle_is_refused(name: str) -> None:
    raw = plain()
    raw["files"][name] = raw["files"]["model.onnx"]
    with pytest.raises(BundleError, match="not a plain relative path"):
        parse(as_sealed(raw))


def test_what_did_not_hold_is_marked() -> None:
    raw = plain()
    assert parse(as_sealed(raw)).failures == []
    raw["refused"]["int8"] = "too far"
    raw["precisions"]["fp32"]["measured"].append({**MEASURED, "backend": "openvino", "reasons": ["differs by 1"]})
    raw["precisions"]["fp32"]["failed"] = {"onnxruntime-cuda": "no memory"}
    failures = parse(as_sealed(raw)).failures
    assert failures == ["no int8: too far", "fp32 by openvino-cpu: differs by 1", "fp32 by onnxruntime-cuda: no memory"]


def test_the_run_is_read_from_a_manifest_that_does_not_hold_otherwise() -> None:
    assert run_of(json.dumps({"lineage": {"run": "mine"}}).encode()) == "mine"
    for content in (b"", b"[]", b"{}", b'{"lineage": 1}', b'{"lineage": {"run": 1}}', b"[" * 100_000):
        assert run_of(content) is None
