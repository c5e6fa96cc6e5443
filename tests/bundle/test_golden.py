from __future__ import annotations

import hashlib
from dataclasses import fields, replace

import numpy as np
import pytest

from sskt_edge.bundle.golden import golden_from_bytes, pixel_hashes
from sskt_edge.common.errors import BundleError
from sskt_edge.tasks.multi_label import MULTI_LABEL
from sskt_edge.tasks.single_label import SINGLE_LABEL
from tests.bundle.several import several_golden
from tests.bundle.tiny import SIDE, tiny_golden


def test_a_golden_set_is_the_same_after_writing_and_reading() -> None:
    golden = tiny_golden()
    again = golden_from_bytes(golden.as_bytes(), (SIDE, SIDE, 3), 3, SINGLE_LABEL)
    for field in fields(golden):
        assert np.array_equal(getattr(again, field.name), getattr(golden, field.name)), field.name


def test_a_pixel_hash_is_the_sha256_of_the_pixels() -> None:
    images = tiny_golden().images
    assert pixel_hashes(images)[1].tobytes() == hashlib.sha256(images[1].tobytes()).digest()


@pytest.mark.parametrize(
    "shape,classes,wrong",
    [((9, 8, 3), 3, "images"), ((2, 8, 8, 3), 3, "images"), ((8, 8, 3), 4, "logits, test_logits")],
)
def test_arrays_of_another_shape_are_named(shape: tuple[int, ...], classes: int, wrong: str) -> None:
    with pytest.raises(BundleError, match=f"wrong or missing arrays: {wrong}"):
        golden_from_bytes(tiny_golden().as_bytes(), shape, classes, SINGLE_LABEL)


def test_labels_of_another_type_are_named() -> None:
    golden = replace(tiny_golden(), test_labels=np.zeros(12, dtype=np.int32))
    with pytest.raises(BundleError, match="test_labels"):
        golden_from_bytes(golden.as_bytes(), (SIDE, SIDE, 3), 3, SINGLE_LABEL)


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"\x02\0\0\0\0\0\0\0{}"], ids=["empty", "noise", "no arrays"])
def test_what_is_no_golden_set_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match=r"golden\.safetensors"):
        golden_from_bytes(content, (SIDE, SIDE, 3), 3, SINGLE_LABEL)


def test_labels_of_several_classes_are_the_same_after_reading() -> None:
    golden = several_golden()
    again = golden_from_bytes(golden.as_bytes(), (SIDE, SIDE, 3), 3, MULTI_LABEL)
    assert again.labels.dtype == np.int8 and np.array_equal(again.labels, golden.labels)
    assert np.array_equal(again.test_labels, golden.test_labels)


def test_labels_of_another_task_are_named() -> None:
    with pytest.raises(BundleError, match="wrong or missing arrays: labels, test_labels"):
        golden_from_bytes(several_golden().as_bytes(), (SIDE, SIDE, 3), 3, SINGLE_LABEL)
    with pytest.raises(BundleError, match="wrong or missing arrays: labels, test_labels"):
        golden_from_bytes(tiny_golden().as_bytes(), (SIDE, SIDE, 3), 3, MULTI_LABEL)


def test_labels_that_are_not_the_tasks_are_refused() -> None:
    wrong = replace(several_golden(), labels=np.full((8, 3), 7, dtype=np.int8))
    with pytest.raises(BundleError, match="Labels go from 7"):
        golden_from_bytes(wrong.as_bytes(), (SIDE, SIDE, 3), 3, MULTI_LABEL)
    wrong = replace(tiny_golden(), test_labels=np.full(12, 3))
    with pytest.raises(BundleError, match="Labels go from 3"):
        golden_from_bytes(wrong.as_bytes(), (SIDE, SIDE, 3), 3, SINGLE_LABEL)
