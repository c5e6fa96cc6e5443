"""Bundles that earlier versions exported do here what one of today does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sskt_edge.bundle.bundle import Bundle, open_bundle
from sskt_edge.evaluation.bench_bundle import bench_bundle
from sskt_edge.evaluation.effort import Exactly
from sskt_edge.evaluation.evaluate import evaluate
from sskt_edge.evaluation.predict import predict
from sskt_edge.inference.open_session import open_session
from sskt_edge.inference.open_sessions import open_sessions
from sskt_edge.inference.triton import triton_from_bundle
from tests.older import BUNDLES, unpacked


@pytest.fixture(params=BUNDLES)
def bundle(request: pytest.FixtureRequest, tmp_path: Path) -> Bundle:
    return open_bundle(unpacked(request.param, tmp_path))


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_an_older_bundle_passes_by_every_library(bundle: Bundle, backend: str) -> None:
    report = evaluate(bundle, open_sessions(bundle, backend=backend, provider="cpu", threads=1))
    assert report.passed and report.results
    assert all(result.parity.images == len(bundle.golden().labels) for result in report.results)


def test_an_older_bundle_is_predicted_by_and_benched(bundle: Bundle, tmp_path: Path) -> None:
    golden, file = bundle.golden(), tmp_path / "digit.png"
    Image.fromarray(golden.images[0]).save(file)
    (answer,) = predict(bundle, open_session(bundle, threads=1), [file], top=1)
    assert answer.classes[0].name == bundle.manifest.classes[int(np.argmax(golden.logits[0]))]

    found = bench_bundle(bundle, backend="onnxruntime", provider="cpu", batches=[1], effort=Exactly(1))
    assert [one.batch for one in found.measurements] == [1] and found.preprocessing is not None


def test_an_older_bundle_is_served_by_triton(bundle: Bundle, tmp_path: Path) -> None:
    (model,) = triton_from_bundle(bundle, tmp_path / "models")
    assert "dims: [ 16, 16, 3 ]" in (tmp_path / "models" / model / "config.pbtxt").read_text()
