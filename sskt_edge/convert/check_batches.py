"""Check that an fp32 ONNX file gives the same answers at every batch size."""

from __future__ import annotations

from sskt_edge.common.errors import ParityError
from sskt_edge.convert.evaluation_set import EvaluationSet
from sskt_edge.evaluation.verdict import verdict
from sskt_edge.inference.runners import judge
from sskt_edge.targets.finished_run import FinishedRun


def check_batches(run: FinishedRun, content: bytes) -> None:
    """Check that the file gives the same answers for batches of one image, of three, and of its largest size.

    Raises:
        ParityError: it gives other answers.
    """
    golden, largest = run.golden(), run.recipe.export.batch.max
    runner = judge()
    for batch in sorted({1, 3, largest}):
        few = slice(0, 4 * batch)
        evaluation_set = EvaluationSet(golden.images[few], golden.labels[few], golden.logits[few], batch, run.task)
        parity = evaluation_set.parity(evaluation_set.answers(content, runner))
        if reasons := verdict("fp32", runner.name, parity, run.recipe.export.parity, run.task).reasons:
            raise ParityError(
                f"The exported file does not answer as the trained network does at batch {batch}: {'; '.join(reasons)}."
            )
