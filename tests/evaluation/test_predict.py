from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from sskt_edge.bundle.bundle import open_bundle
from sskt_edge.common.errors import DataError, WorkError
from sskt_edge.evaluation.predict import predict
from sskt_edge.inference.open_session import open_session
from tests.bundle.tiny import CLASSES, coloured, reference, tiny_model, write_bundle

pytest.importorskip("onnxruntime")


def test_probabilities_are_the_softmax_of_the_logits_likeliest_first(bundle_path: Path, images_path: Path) -> None:
    bundle = open_bundle(bundle_path)
    paths = sorted(images_path.rglob("*.png"))  # more than one batch
    answers = predict(bundle, open_session(bundle, provider="cpu", threads=1), paths)
    assert [one.path for one in answers] == paths
    for one in answers:
        logits = reference(coloured(one.path.parent.name, int(one.path.stem))[None])[0].astype(np.float64)
        expected = dict(zip(CLASSES, np.exp(logits) / np.exp(logits).sum(), strict=True))
        assert one.classes[0].name == one.path.parent.name
        assert {each.name: each.probability for each in one.classes} == pytest.approx(expected, abs=1e-5)
        shares = [each.probability for each in one.classes]
        assert shares == sorted(shares, reverse=True)


def test_top_cuts_the_list(bundle_path: Path, images_path: Path) -> None:
    bundle = open_bundle(bundle_path)
    (one,) = predict(bundle, open_session(bundle, provider="cpu"), [images_path / "red" / "0.png"], top=1)
    assert [each.name for each in one.classes] == ["red"]


def test_an_image_that_cannot_be_read_costs_no_other_its_answer(bundle_path: Path, images_path: Path) -> None:
    bundle = open_bundle(bundle_path)
    (images_path / "cut.png").write_bytes(b"\x89PNG")
    good = sorted((images_path / "red").iterdir())
    paths = [images_path / "gone.png", *good[:2], images_path / "cut.png", *good[2:], images_path / "gone.png"]
    answers = predict(bundle, open_session(bundle, provider="cpu"), paths)
    assert [one.path for one in answers] == paths
    assert [one.classes[0].name if one.classes else "" for one in answers] == ["", "red", "red", "", "red", "red", ""]
    for one in answers:
        assert isinstance(one.error, DataError) == (one.path not in good)
        assert one.error is None or one.path.name in str(one.error)


def test_a_folder_stands_for_the_images_below_it_in_order(bundle_path: Path, images_path: Path, tmp_path: Path) -> None:
    bundle = open_bundle(bundle_path)
    (tmp_path / "empty").mkdir()
    shutil.copy(images_path / "blue" / "0.png", images_path / "red" / "z.PNG")
    below = sorted(images_path.rglob("*.[pP][nN][gG]"))
    answers = predict(
        bundle, open_session(bundle, provider="cpu"), [below[3], images_path, tmp_path / "empty", below[0]]
    )
    assert [one.path for one in answers] == [below[3], *below, tmp_path / "empty", below[0]]
    assert [one.path for one in answers if one.error is not None] == [tmp_path / "empty"]


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names of files are Unicode there")
def test_a_name_that_is_not_utf_8_is_an_image_like_others(bundle_path: Path, images_path: Path) -> None:
    name = Path(os.fsdecode(os.fsencode(images_path) + b"/caf\xe9.png"))
    (images_path / "red" / "0.png").rename(name)
    bundle = open_bundle(bundle_path)
    (one,) = predict(bundle, open_session(bundle, provider="cpu"), [name])
    assert one.path == name and one.classes[0].name == "red"


def test_an_answer_that_is_not_a_number_is_an_error(tmp_path: Path, images_path: Path) -> None:
    model = tiny_model()
    model.graph.initializer[2].raw_data = np.array([np.nan, 0, 0], dtype=np.float32).tobytes()
    bundle = open_bundle(write_bundle(tmp_path / "nan", model=model.SerializeToString()))
    (one,) = predict(bundle, open_session(bundle, provider="cpu"), [images_path / "red" / "0.png"])
    assert isinstance(one.error, WorkError) and "0.png' are not finite" in str(one.error)
