from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from sskt_edge.common.errors import NetworkError
from sskt_edge.inference.backends.onnxruntime.session import OnnxRuntimeSession
from sskt_edge.inference.session import Session, run_batches
from tests.bundle.tiny import SIDE, reference, tiny_onnx

pytest.importorskip("onnxruntime")


@pytest.fixture
def session() -> Session:
    return OnnxRuntimeSession(tiny_onnx(), (SIDE, SIDE, 3), 4, provider="cpu", threads=1)


def images(count: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.mark.parametrize("batch", [1, 3, 7, 100])
def test_batches_give_the_logits_in_order(session: Session, batch: int) -> None:
    assert np.abs(run_batches(session, images(7), batch, 3) - reference(images(7))).max() < 1e-5


def test_another_number_of_classes_is_an_error(session: Session) -> None:
    with pytest.raises(NetworkError, match=r"output is \[2, 3\], expected \[2, 10\]"):
        run_batches(session, images(2), 4, 10)
