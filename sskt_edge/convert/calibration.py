"""Calibration: the ranges that the values of a network's tensors span on real images, which int8 has to cover."""

from __future__ import annotations

import contextlib
import io
import math
import tempfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationMethod
from onnxruntime.quantization.calibrate import create_calibrator

from sskt_edge.common.progress import Progress

Method = Literal["minmax", "percentile"]
# minmax covers the whole range. percentile leaves out the outermost hundred-thousandth of the values, half of it on
# either side, so that a few outliers do not reduce the resolution for all others.
METHODS: tuple[Method, ...] = ("minmax", "percentile")
QUANTISED_OPS = ("Conv", "Gemm", "MatMul", "Add")
# All tensors of a batch are in memory at once, so batches of large images are smaller. The ranges of minmax do not
# depend on how images are batched; those of a histogram do.
_BATCHES: dict[Method, int] = {"minmax": 4, "percentile": 16}
_PIXELS = 16 * 224 * 224
_HOW: dict[Method, tuple[CalibrationMethod, dict[str, Any]]] = {
    "minmax": (CalibrationMethod.MinMax, {}),
    "percentile": (CalibrationMethod.Percentile, {"symmetric": False, "percentile": 99.999, "num_bins": 2048}),
}


class _OneBatch:
    """One batch, with the interface that ONNX Runtime reads calibration images from."""

    def __init__(self, feed: dict[str, NDArray[np.uint8]]) -> None:
        self._left = [feed]

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        return self._left.pop() if self._left else None


def ranges(model: onnx.ModelProto, images: NDArray[np.uint8], method: Method, progress: Progress) -> Any:
    """Compute the range of every tensor that may become int8.

    Args:
        model: an fp32 network with one input, images as uint8.
        images: uint8 [N,*shape], N at least 1.
        method: how a range is computed from the values.
        progress: draws the bar.

    Returns:
        ONNX Runtime's own table, TensorsData, for `quantised`.
    """
    how, options = _HOW[method]
    name = model.graph.input[0].name
    with tempfile.TemporaryDirectory(prefix="sskt-edge-") as folder, contextlib.redirect_stdout(io.StringIO()):
        plain = Path(folder, "plain.onnx")
        onnx.save(model, plain)
        calibrator = create_calibrator(
            plain,
            QUANTISED_OPS,
            augmented_model_path=str(Path(folder, "all_tensors.onnx")),
            calibrate_method=how,
            extra_options=options,
        )
        size = max(1, min(_BATCHES[method], _PIXELS // math.prod(images.shape[1:-1])))
        with progress.bar(f"calibrate, {method}", len(images)) as bar:
            for start in range(0, len(images), size):
                batch = images[start : start + size]
                calibrator.collect_data(_OneBatch({name: batch}))
                bar.advance(len(batch))
        return calibrator.compute_data()


class Calibrated:
    """A network with the ranges of its tensors, which are computed once for each method, when they are first needed.

    Args:
        model: a prepared fp32 network with one input, images as uint8.
        images: uint8 [N,*shape], N at least 1.
        progress: draws the bars.
    """

    def __init__(self, model: onnx.ModelProto, images: NDArray[np.uint8], progress: Progress) -> None:
        self.model = model
        self._images, self._progress = images, progress
        self._tables: dict[Method, Any] = {}

    def ranges(self, method: Method) -> Any:
        """The table of `ranges` by this method."""
        if method not in self._tables:
            self._tables[method] = ranges(self.model, self._images, method, self._progress)
        return self._tables[method]
