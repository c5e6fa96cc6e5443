"""Run every file of a bundle with every library here that supports it, and compare it with the trained network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sskt_edge.bundle.manifest import Measured
from sskt_edge.common.errors import NetworkError, WorkError
from sskt_edge.common.progress import Progress
from sskt_edge.convert.evaluation_set import EvaluationSet
from sskt_edge.evaluation.bench import Subject, quick_latency
from sskt_edge.evaluation.parity import Parity
from sskt_edge.evaluation.verdict import verdict
from sskt_edge.inference.runners import Runner, runners_of
from sskt_edge.inference.session import run_batches
from sskt_edge.tasks.tolerances import Tolerances


@dataclass(frozen=True, eq=False)
class _Answer:
    """The answers of one file to the evaluation set, by one runner, or the reason why there are none."""

    precision: str
    runner: Runner
    versions: dict[str, str]
    logits: NDArray[np.float32] | None
    parity: Parity | None
    error: str

    @property
    def name(self) -> str:
        """The precision and the runner, such as "fp32 onnxruntime-cpu"."""
        return f"{self.precision} {self.runner.name}"

    @property
    def is_timed(self) -> bool:
        """Whether it is timed, which requires finite answers."""
        return self.parity is not None and not self.parity.not_finite


@dataclass(frozen=True)
class Measurements:
    """The measurements of one precision.

    Attributes:
        measured: a record for each runner that answered.
        failed: runner → why it was not recorded: it refuses the file, or its answers are not finite.
    """

    measured: list[Measured]
    failed: dict[str, str]

    @property
    def reasons(self) -> list[str]:
        """Why it is out of tolerance, by runner; empty if it is not."""
        wrong = [f"{one.runner}: {reason}" for one in self.measured for reason in one.reasons]
        return wrong + [f"{runner}: {why}" for runner, why in self.failed.items()]


def measure(
    files: Mapping[str, bytes],
    evaluation_set: EvaluationSet,
    whole: bool,
    runners: tuple[Runner, ...],
    tolerances: Tolerances,
    progress: Progress,
) -> dict[str, Measurements]:
    """Run every file with every runner that supports it, then time all of them in turns, one image at a time.

    Args:
        files: precision → ONNX file.
        evaluation_set: the images, all of which have labels.
        whole: whether they are the whole test set.
        runners: the runners of the files.
        tolerances: the allowed differences.
        progress: draws the bars.
    """
    answers = [
        _answer(precision, content, evaluation_set, runner, progress)
        for precision, content in files.items()
        for runner in runners_of(precision, runners)
    ]
    seconds = _seconds([answer for answer in answers if answer.is_timed], files, evaluation_set, progress)
    found = {precision: Measurements([], {}) for precision in files}
    for answer in answers:
        judged = _judged(answer, evaluation_set, whole, tolerances, seconds)
        if isinstance(judged, Measured):
            found[answer.precision].measured.append(judged)
        else:
            found[answer.precision].failed[answer.runner.name] = judged
    return found


def _answer(
    precision: str, content: bytes, evaluation_set: EvaluationSet, runner: Runner, progress: Progress
) -> _Answer:
    """Compute the answers. The session is closed afterwards, since it keeps the memory of its largest batch."""
    try:
        session = runner.open(content, evaluation_set.shape, evaluation_set.batch)
        logits = run_batches(
            session, evaluation_set.images, evaluation_set.batch, evaluation_set.logits.shape[1], progress
        )
    except (NetworkError, WorkError) as error:
        return _Answer(precision, runner, {}, None, None, str(error))
    return _Answer(precision, runner, session.versions, logits, evaluation_set.parity(logits), "")


def _seconds(
    answers: Sequence[_Answer], files: Mapping[str, bytes], evaluation_set: EvaluationSet, progress: Progress
) -> dict[str, float]:
    """Name of an answer → median seconds for one image, measured in turns by sessions that have run no larger batch."""
    subjects = [
        Subject(answer.name, answer.runner.open(files[answer.precision], evaluation_set.shape, evaluation_set.batch))
        for answer in answers
    ]
    return quick_latency(subjects, evaluation_set.images[:64], progress) if subjects else {}


def _judged(
    answer: _Answer, evaluation_set: EvaluationSet, whole: bool, tolerances: Tolerances, seconds: Mapping[str, float]
) -> Measured | str:
    """The record of an answer, or the reason why there is none."""
    logits, parity = answer.logits, answer.parity
    if logits is None or parity is None:
        return answer.error
    task, drop = evaluation_set.task, evaluation_set.drop(logits) if whole else None
    reasons, undecided = verdict(answer.precision, answer.runner.name, parity, tolerances, task, drop)
    if not answer.is_timed:
        return "; ".join(reasons)
    scores = task.scores(logits, evaluation_set.labels, logits.shape[1])
    return Measured(
        backend=answer.runner.backend,
        provider=answer.runner.provider,
        versions=answer.versions,
        images=parity.images,
        value=scores.value,
        interval=scores.interval,
        agreement=parity.agreement.share,
        flips=len(parity.agreement.flips),
        max_abs=parity.max_abs,
        latency_ms=seconds[answer.name] * 1e3,
        reasons=reasons,
        undecided=undecided,
    )
