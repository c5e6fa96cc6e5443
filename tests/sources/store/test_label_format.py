from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sskt_edge.common.errors import NetworkError
from sskt_edge.sources.store.label_format import LabelFormat, kl_of_top_k, smallest_k


def drawn(rows: int = 16, classes: int = 50) -> NDArray[np.float32]:
    return (3 * np.random.default_rng(0).standard_normal((rows, classes))).astype(np.float32)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    powers = np.exp(logits.astype(np.float64))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


@pytest.mark.parametrize(
    "label_format", [LabelFormat(50), LabelFormat(50, 7), LabelFormat(2**16, 3), LabelFormat(2**16 + 1, 3)]
)
def test_what_is_packed_is_laid_out_as_told(label_format: LabelFormat) -> None:
    packed = label_format.pack(np.zeros((4, label_format.classes), np.float32))
    assert {name: (array.dtype, array.shape) for name, array in packed.items()} == label_format.layout(4)


def test_all_logits_come_back_as_float16_rounds_them() -> None:
    logits = drawn()
    kept = LabelFormat(50).unpack(LabelFormat(50).pack(logits))
    assert kept.dtype == np.float32
    np.testing.assert_array_equal(kept, logits.astype(np.float16).astype(np.float32))


@pytest.mark.parametrize("k", [1, 7, 49])
def test_top_k_keeps_the_largest_logits_and_the_mass_of_the_others(k: int) -> None:
    logits = drawn()
    kept = LabelFormat(50, k).unpack(LabelFormat(50, k).pack(logits))
    largest = np.argsort(-logits, axis=1)[:, :k]
    np.testing.assert_allclose(
        np.take_along_axis(kept, largest, 1), np.take_along_axis(logits, largest, 1), rtol=1e-3, atol=1e-3
    )
    before, after = softmax(logits), softmax(kept)
    np.testing.assert_allclose(np.take_along_axis(after, largest, 1), np.take_along_axis(before, largest, 1), atol=2e-3)
    np.put_along_axis(before, largest, 0.0, axis=1)
    np.put_along_axis(after, largest, 0.0, axis=1)
    np.testing.assert_allclose(after.sum(axis=1), before.sum(axis=1), rtol=5e-3)
    spread = np.sort(after, axis=1)[:, k:]
    np.testing.assert_allclose(spread, spread[:, :1].repeat(50 - k, 1), rtol=1e-5)


@pytest.mark.parametrize("classes", [2**16, 2**16 + 1])
def test_the_last_of_many_classes_keeps_its_place(classes: int) -> None:
    logits = np.zeros((1, classes), np.float32)
    logits[0, -1] = 9.0
    assert LabelFormat(classes, 1).unpack(LabelFormat(classes, 1).pack(logits)).argmax() == classes - 1


@pytest.mark.parametrize("top_k", [0, 50, 51])
def test_as_many_as_there_are_classes_are_all(top_k: int) -> None:
    assert LabelFormat.of(50, top_k) == LabelFormat(50, 0)


@pytest.mark.parametrize("top_k", [0, 3])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 65505.0])
def test_a_logit_that_float16_has_not_is_refused(value: float, top_k: int) -> None:
    logits = drawn()
    logits[2, 3] = value
    with pytest.raises(NetworkError, match=r"cannot be kept: 1 of 800 .* Check its weights"):
        LabelFormat(50, top_k).pack(logits)


@pytest.mark.parametrize("value", [65504.0, -65504.0, 0.0])
def test_the_largest_float16_is_kept(value: float) -> None:
    assert LabelFormat(1).unpack(LabelFormat(1).pack(np.full((1, 1), value, np.float32))) == value


def test_logits_of_other_classes_are_refused() -> None:
    with pytest.raises(NetworkError, match=r"output is \[16, 50\], expected \[images,10\]"):
        LabelFormat(10).pack(drawn())


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_the_smallest_k_passes_and_every_smaller_one_does_not(temperature: float) -> None:
    logits = drawn()
    for limit in (0.1, 0.01, 0.001):
        k = smallest_k(logits, temperature, limit)
        kls = [kl_of_top_k(logits, k, temperature) for k in range(1, 51)]
        assert 1 < k < 50
        assert [kl <= limit for kl in kls] == [other >= k for other in range(1, 51)]


def test_what_no_k_can_keep_needs_all() -> None:
    assert smallest_k(np.zeros((2, 50), np.float32), 1.0, 0.0) == 1, "equal logits lose nothing"
    assert smallest_k(drawn(), 1.0, 0.0) == 50


def test_the_kl_is_the_mean_of_the_rows() -> None:
    # ln(2·⅔), exactly: p = (⅔, ⅓, 0…), kept is the first alone, and its tail spreads ⅓ over two classes.
    logits = np.array([[np.log(4.0), np.log(2.0), -60.0], [0.0, 0.0, 0.0]], np.float32)
    assert kl_of_top_k(logits, 1, 1.0) == pytest.approx(np.log(2.0) / 3 / 2, rel=1e-3)
    assert kl_of_top_k(logits, 3, 1.0) < 1e-6
