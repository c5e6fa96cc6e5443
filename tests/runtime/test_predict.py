from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sskt_edge.errors import DataError, WorkError
from sskt_edge.runtime.bundle import open_bundle
from sskt_edge.runtime.predict import predict
from tests.runtime.tiny import CLASSES, coloured, reference, tiny_model, write_bundle

pytest.importorskip("onnxruntime")


def test_probabilities_are_the_softmax_of_the_logits_likeliest_first(bundle_path: Path, images_path: Path) -> None:
    bundle = open_bundle(bundle_path)
    paths = sorted(images_path.rglob("*.png"))  # more than one batch
    answers = predict(bundle, bundle.session(provider="cpu", threads=1), paths)
    assert [path for path, _ in answers] == paths
    for path, shares in answers:
        logits = reference(coloured(path.parent.name, int(path.stem))[None])[0].astype(np.float64)
        expected = dict(zip(CLASSES, np.exp(logits) / np.exp(logits).sum(), strict=True))
        assert shares[0][0] == path.parent.name
        assert dict(shares) == pytest.approx(expected, abs=1e-5)
        assert [share for _, share in shares] == sorted((share for _, share in shares), reverse=True)


def test_top_cuts_the_list(bundle_path: Path, images_path: Path) -> None:
    bundle = open_bundle(bundle_path)
    ((_, shares),) = predict(bundle, bundle.session(provider="cpu"), [images_path / "red" / "0.png"], top=1)
    assert [name for name, _ in shares] == ["red"]


def test_an_image_that_cannot_be_read_is_named(bundle_path: Path, images_path: Path) -> None:
    bundle = open_bundle(bundle_path)
    with pytest.raises(DataError, match=r"gone\.png"):
        predict(bundle, bundle.session(provider="cpu"), [images_path / "gone.png"])


def test_an_answer_that_is_no_number_is_an_error(tmp_path: Path, images_path: Path) -> None:
    model = tiny_model()
    model.graph.initializer[2].raw_data = np.array([np.nan, 0, 0], dtype=np.float32).tobytes()
    bundle = open_bundle(write_bundle(tmp_path / "nan", model=model.SerializeToString()))
    with pytest.raises(WorkError, match=r"0\.png' is not a finite number"):
        predict(bundle, bundle.session(provider="cpu"), [images_path / "red" / "0.png"])
