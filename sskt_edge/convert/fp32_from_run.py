"""The part of an export that needs torch: the fp32 ONNX file, the check of its weights, and logits to compare with."""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray

from sskt_edge.common.errors import ParityError
from sskt_edge.common.progress import Progress
from sskt_edge.common.version import __version__
from sskt_edge.convert.onnx_from_module import onnx_from_module
from sskt_edge.evaluation.parity import compare_logits
from sskt_edge.evaluation.verdict import verdict
from sskt_edge.targets.reference import reference_facts, reference_logits
from sskt_edge.targets.run_folder import TrainedNetwork


def from_torch(
    run: TrainedNetwork, searched: NDArray[np.uint8] | None, progress: Progress
) -> tuple[bytes, NDArray[np.float32] | None]:
    """Check the stripped weights, compute the logits of the search images, and write the fp32 file.

    Args:
        run: the run whose network is exported.
        searched: the search images, uint8 [N,*shape]; None without a search.
        progress: draws the bars.

    Returns:
        The content of the fp32 file; the trained network's logits of `searched`, float32 [N,classes], or None.

    Raises:
        ParityError: the stripped weights do not reproduce the logits of the training.
    """
    check_strip(run, progress)
    logits = None if searched is None else reference_logits(run.network, run.pixels, searched, progress)
    with progress.bar("torch to ONNX", 1) as bar:
        fp32 = fp32_from_run(run)
        bar.advance()
    return fp32, logits


def fp32_from_run(run: TrainedNetwork) -> bytes:
    """The bytes of the fp32 ONNX file of a run's primary network."""
    export = run.recipe.export
    told = {
        "sskt_edge.version": __version__,
        "sskt_edge.name": run.recipe.name,
        "sskt_edge.target": run.recipe.target.model,
        "sskt_edge.classes": json.dumps(list(run.classes)),
        "sskt_edge.recipe_sha256": run.result.recipe_sha256,
        "sskt_edge.data_sha256": run.result.data_sha256,
        "sskt_edge.weights_sha256": run.weights_sha256,
    }
    return onnx_from_module(run.network, run.pixels, run.shape, export.batch.max, told)


def check_strip(run: TrainedNetwork, progress: Progress) -> None:
    """Check that the stripped weights, read back, give the logits that were recorded with the branches attached.

    If the libraries and the machine are those of the training, every bit must agree; otherwise fp32 tolerance applies.

    Raises:
        ParityError: they give other logits.
    """
    golden = run.golden()
    now = reference_logits(run.network, run.pixels, golden.images, progress)
    if np.array_equal(now, golden.logits):
        return
    parity = compare_logits(golden.logits, now, run.task)
    reasons = verdict("fp32", "torch-cpu", parity, run.recipe.export.parity, run.task).reasons
    if run.result.reference != reference_facts() and not reasons:
        progress.say(
            f"the stripped weights agree with the network before stripping within {parity.max_abs:.1e}, but not bit "
            f"for bit, since sskt-edge, torch or the machine is not that of the training"
        )
        return
    raise ParityError(
        f"The stripped weights do not give the same answers as the network in training: logits differ by up to "
        f"{parity.max_abs:.3g}. Train again."
    )
