"""Real photographs, where there are some: the shipped recipe's way, shortened, and parity on every test image."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import sskt_edge
from sskt_edge.evaluation.evaluate import evaluate_data
from sskt_edge.inference.open_sessions import open_sessions

FLOWERS = os.environ.get("SSKT_EDGE_FLOWERS")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FLOWERS, reason="SSKT_EDGE_FLOWERS names no folder with train/ and test/"),
]


def test_the_bundle_answers_as_the_trained_network_on_every_test_image(tmp_path: Path) -> None:
    change = ("target.model=resnet20", "data.image_size=32")
    short = ("data.per_class=4", "labels.views=1", "labels.batch_size=4", "train.epochs=3", "train.precision=fp32")
    # Without unlabelled images: asking the source about 2,000 of them would take most of the time.
    places = (f"data.root={FLOWERS}", f"labels.store={tmp_path / 'labels'}", "data.unlabelled=")
    recipe = sskt_edge.load_recipe("flowers", [*places, *short, *change])
    run = sskt_edge.train(recipe, tmp_path / "runs")
    bundle = sskt_edge.export(run, tmp_path / "bundle")
    assert (bundle.manifest.refused, bundle.manifest.failures) == ({}, [])
    report = evaluate_data(bundle, open_sessions(bundle, backend="onnxruntime", provider="cpu"), Path(str(FLOWERS)))
    assert report.passed
    assert (
        {"fp32", "fp16", "int8"} <= {result.precision for result in report.results} == set(bundle.manifest.precisions)
    )
    for result in report.results:
        assert result.parity is not None
        assert result.parity.images == result.scores.images == run.result.test.images
        assert not result.reasons
    fp32 = next(result for result in report.results if result.precision == "fp32")
    assert fp32.parity.difference <= 1e-4 and fp32.parity.agreement.share == 1
    assert fp32.scores.value == run.result.test.value
