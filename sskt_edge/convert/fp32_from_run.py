"""A finished run's primary network as an fp32 ONNX file, and the proofs that nothing was lost on the way."""

from __future__ import annotations

import json

import numpy as np

import sskt_edge
from sskt_edge.convert.exam import Exam
from sskt_edge.convert.onnx_from_module import onnx_from_module
from sskt_edge.errors import ParityError
from sskt_edge.runtime.parity import compare
from sskt_edge.runtime.progress import Progress
from sskt_edge.runtime.runners import Runner
from sskt_edge.runtime.verdict import verdict
from sskt_edge.targets.reference import reference_facts, reference_logits
from sskt_edge.targets.run_folder import TrainedNetwork


def fp32_from_run(run: TrainedNetwork) -> bytes:
    """The bytes of the fp32 ONNX file of a run's primary network."""
    export = run.recipe.export
    told = {
        "sskt_edge.version": sskt_edge.__version__,
        "sskt_edge.name": run.recipe.name,
        "sskt_edge.target": run.recipe.target.model,
        "sskt_edge.classes": json.dumps(list(run.classes)),
        "sskt_edge.recipe_sha256": run.result.recipe_sha256,
        "sskt_edge.data_sha256": run.result.data_sha256,
        "sskt_edge.weights_sha256": run.weights_sha256,
    }
    return onnx_from_module(run.network, run.pixels, run.recipe.data.image_size, export.batch.max, told)


def check_strip(run: TrainedNetwork, progress: Progress) -> None:
    """The stripped weights, read back, must give the logits that were recorded with the branches on.

    To the bit where libraries and machine are those of the training; else within the tolerance of fp32.

    Raises:
        ParityError: they do not.
    """
    golden = run.golden()
    now = reference_logits(run.network, run.pixels, golden.images, progress)
    if np.array_equal(now, golden.logits):
        return
    parity = compare(golden.logits, now)
    reasons = verdict("fp32", "torch-cpu", parity, run.recipe.export.parity).reasons
    if run.result.reference != reference_facts() and not reasons:
        progress.say(
            f"the stripped weights answer as before stripping within {parity.max_abs:.1e}; not to the bit, since "
            f"torch or the machine is not the one that trained"
        )
        return
    raise ParityError(
        f"The stripped weights do not answer as the network did in training: logits differ by up to "
        f"{parity.max_abs:.3g}. Train again."
    )


def check_batches(run: TrainedNetwork, content: bytes) -> None:
    """The file must answer alike whatever the batch: one image, three, and as many as it is made for.

    Raises:
        ParityError: it does not.
    """
    golden, largest = run.golden(), run.recipe.export.batch.max
    runner = Runner("onnxruntime", "cpu")
    for batch in sorted({1, 3, largest}):
        few = slice(0, 4 * batch)
        exam = Exam(golden.images[few], golden.labels[few], golden.logits[few], batch)
        parity = compare(exam.logits, exam.answers(content, runner))
        if reasons := verdict("fp32", runner.name, parity, run.recipe.export.parity).reasons:
            raise ParityError(
                f"The exported file does not answer as the trained network does at batch {batch}: {'; '.join(reasons)}."
            )
