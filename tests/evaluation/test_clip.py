"""Input of another shape: clips [T,S,S,3] through a small network of 3D convolutions, from torch to the evaluation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from sskt_edge.bundle.bundle import MANIFEST, Bundle, open_bundle
from sskt_edge.bundle.golden import FILE_NAME, Golden, pixel_hashes
from sskt_edge.bundle.manifest import Manifest
from sskt_edge.common.errors import BundleError, DataError, InputError
from sskt_edge.convert.fp16_from_fp32 import fp16_from_fp32
from sskt_edge.convert.onnx_from_module import onnx_from_module
from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.evaluation.bench_bundle import bench_bundle
from sskt_edge.evaluation.effort import Exactly
from sskt_edge.evaluation.evaluate import evaluate, evaluate_data
from sskt_edge.evaluation.predict import predict
from sskt_edge.inference.open_session import open_session
from sskt_edge.inference.open_sessions import open_sessions
from sskt_edge.inference.triton import triton_from_bundle
from sskt_edge.targets.reference import reference_logits
from tests.bundle.tiny import CLASSES, manifest_of

FRAMES, SIDE = 4, 12
SHAPE = FRAMES, SIDE, SIDE, 3
PIXELS = Pixels(SIDE)


def network() -> nn.Module:
    """Takes float [B,3,T,S,S]."""
    torch.manual_seed(0)
    layers = [nn.Conv3d(3, 8, 3, stride=(1, 2, 2), padding=1, bias=False), nn.BatchNorm3d(8), nn.ReLU()]
    ends = [nn.MaxPool3d(2), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(8, len(CLASSES))]
    return nn.Sequential(*layers, *ends).eval()


def clips(count: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(count).integers(0, 256, (count, *SHAPE), dtype=np.uint8)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    seen = clips(6)
    logits = reference_logits(network(), PIXELS, seen)
    labels = logits.argmax(axis=1).astype(np.int64)
    golden = Golden(seen[:4], labels[:4], logits[:4], pixel_hashes(seen), labels, logits)
    fp32 = onnx_from_module(network(), PIXELS, SHAPE, 5, {})
    files = {"model.onnx": fp32, "model.fp16.onnx": fp16_from_fp32(fp32), FILE_NAME: golden.as_bytes()}
    raw = manifest_of(files)
    raw["input"].update(kind="clip", shape=SHAPE)
    path = tmp_path_factory.mktemp("clip") / "bundle"
    path.mkdir()
    for name, content in files.items():
        (path / name).write_bytes(content)
    (path / MANIFEST).write_bytes(Manifest.model_validate(raw).as_bytes())
    return open_bundle(path)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_bundle_of_clips_answers_as_torch_does(bundle: Bundle, backend: str) -> None:
    seen = clips(7)  # more than a batch
    session = open_session(bundle, backend=backend, provider="cpu", threads=1)
    np.testing.assert_allclose(session.run(seen), reference_logits(network(), PIXELS, seen), atol=1e-5)
    with pytest.raises(DataError, match=r"expected uint8 \[N,4,12,12,3\]"):
        session.run(seen[:, 0])


def test_its_golden_clips_are_evaluated_by_every_library(bundle: Bundle) -> None:
    report = evaluate(bundle, open_sessions(bundle, provider="cpu", threads=1))
    assert {result.name for result in report.results} >= {"fp32 onnxruntime-cpu", "fp16 openvino-cpu"}
    assert report.passed and all(result.parity.images == 4 for result in report.results)


def test_it_is_benched_without_the_reading_of_files(bundle: Bundle) -> None:
    found = bench_bundle(bundle, "fp32", "onnxruntime", "cpu", batches=[1, 2], effort=Exactly(1))
    assert [one.batch for one in found.measurements] == [1, 2] and found.preprocessing is None
    assert not any(sentence.startswith("Reading") for sentence in found.method)


def test_files_of_clips_are_not_read_and_the_message_says_so(bundle: Bundle, tmp_path: Path) -> None:
    opened = open_sessions(bundle, "fp32", "onnxruntime", "cpu", 1)
    with pytest.raises(InputError, match=r"'clip'.*image"):
        evaluate_data(bundle, opened, tmp_path)
    with pytest.raises(InputError, match=r"'clip'.*image"):
        predict(bundle, opened.opened[0].session, [tmp_path / "clip.gif"])


def test_triton_is_told_the_whole_shape(bundle: Bundle, tmp_path: Path) -> None:
    for model in triton_from_bundle(bundle, tmp_path / "models"):
        assert "dims: [ 4, 12, 12, 3 ]" in (tmp_path / "models" / model / "config.pbtxt").read_text()


def test_a_golden_set_of_other_frames_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    raw = bundle.manifest.model_dump(mode="json")
    raw["input"]["shape"] = [2, SIDE, SIDE, 3]
    for name in bundle.manifest.files:
        (tmp_path / name).write_bytes(bundle.read(name))
    (tmp_path / MANIFEST).write_bytes(Manifest.model_validate(raw).as_bytes())
    with pytest.raises(BundleError, match="images"):
        open_bundle(tmp_path).golden()


@pytest.mark.parametrize("own", [SIDE, 9], ids=["as large", "resized"])
def test_pixels_of_a_clip_are_those_of_its_frames(own: int) -> None:
    seen, pixels = torch.from_numpy(clips(2)), Pixels(own)
    frames = torch.stack([pixels(seen[:, frame]) for frame in range(FRAMES)], dim=2)
    torch.testing.assert_close(pixels(seen), frames)
