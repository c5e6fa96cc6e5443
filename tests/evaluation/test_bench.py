from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from sskt_edge.common.errors import DataError, InputError, WorkError
from sskt_edge.common.json import as_json
from sskt_edge.evaluation.bench import Subject, bench, quick_latency
from sskt_edge.evaluation.effort import AtLeast, Exactly
from sskt_edge.inference.backends.onnxruntime.session import OnnxRuntimeSession
from sskt_edge.inference.session import Session, TimedSession
from tests.bundle import tiny
from tests.bundle.tiny import SIDE, reference, tiny_onnx
from tests.evaluation.test_timing import Watch

Images = npt.NDArray[np.uint8]
ONCE = Exactly(1)


class Recorder:
    """A session that answers right, takes a known time by a watch, and remembers what it was given."""

    backend, provider, precision = "recorder", "cpu", "fp32"
    max_batch = 64

    def __init__(self, watch: Watch, name: str, cost: float) -> None:
        self.versions = {"recorder": "1"}
        self.given: list[Images] = []
        self._spend = watch.task(name, cost)

    def run(self, images: Images) -> npt.NDArray[np.float32]:
        self.given.append(images)
        self._spend()
        return reference(images)


class Spent(NamedTuple):
    copy_in: float
    compute: float
    copy_out: float


class TimedRecorder(Recorder):
    """One that also tells copying from computing."""

    asked = 0

    def timed(self, images: Images) -> tuple[npt.NDArray[np.float32], Spent]:
        self.asked += 1
        # The trial's runs are the slower ones.
        return self.run(images), Spent(0.001, 0.004 if self.asked > 60 else 9.0, 0.0005)


def recorders(watch: Watch, **costs: float) -> list[Subject]:
    return [Subject(name, Recorder(watch, name, cost)) for name, cost in costs.items()]


def numbered(count: int) -> Images:
    """Images that can be told apart: each has its number everywhere."""
    return np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, SIDE, SIDE, 3))


def real(threads: int = 1) -> Session:
    pytest.importorskip("onnxruntime")
    return OnnxRuntimeSession(tiny_onnx(), (SIDE, SIDE, 3), 5, provider="cpu", threads=threads)


@pytest.mark.parametrize("cost", [0.001, 0.1])
def test_each_subject_has_enough_runs_and_enough_time_at_each_batch(cost: float) -> None:
    watch = Watch()

    found = bench(recorders(watch, a=cost, b=2 * cost), numbered(6), [1, 4], AtLeast(3.0, 200, 500), clock=watch)

    assert [(one.subject.name, one.batch) for one in found] == [("a", 1), ("b", 1), ("a", 4), ("b", 4)]
    for one in found:
        assert one.latency.n >= (200 if one.batch == 1 else 125)
        assert one.latency.n * one.latency.mean >= 3.0 - 1e-6


def test_times_and_throughput_are_what_the_runs_took() -> None:
    watch = Watch()

    a, b = bench(recorders(watch, a=0.01, b=0.04), numbered(6), [4], clock=watch)

    assert (a.latency.p50, a.latency.p99, b.latency.p50) == pytest.approx((0.01, 0.01, 0.04))
    assert (a.images_per_second, b.images_per_second) == pytest.approx((400, 100))
    assert a.steady and a.turns == pytest.approx((0.01, 0.01))


def test_subjects_take_turns() -> None:
    watch = Watch()

    bench(recorders(watch, a=0.01, b=0.01), numbered(6), [1], clock=watch)

    # The trial, then ab ba ab …: more than ten rounds, not one subject after the other.
    assert watch.blocks()[:6] == ["a", "b", "a", "b", "a", "b"]
    assert len(watch.blocks()) > 10


@pytest.mark.parametrize(("count", "batch"), [(7, 1), (7, 3), (7, 64), (1, 1)])
def test_every_run_has_its_batch_and_every_image_has_its_turn(count: int, batch: int) -> None:
    watch = Watch()
    subject = recorders(watch, a=0.01)[0]
    assert isinstance(subject.session, Recorder)

    bench([subject], numbered(count), [batch], ONCE, clock=watch)

    given = subject.session.given
    assert {images.shape for images in given} == {(batch, SIDE, SIDE, 3)}
    assert {int(image[0, 0, 0]) for images in given for image in images} == set(range(count))
    assert all(images.flags.c_contiguous for images in given)
    assert all(one is not other for one, other in pairwise(given))


def test_a_session_that_can_tell_gives_its_phases() -> None:
    watch = Watch()
    session = TimedRecorder(watch, "a", 0.01)
    assert isinstance(session, TimedSession)

    plain, timed = bench([*recorders(watch, plain=0.01), Subject("timed", session)], numbered(6), [2], clock=watch)

    assert (plain.copy, plain.compute, plain.phases) == (None, None, {})
    assert (timed.copy, timed.compute) == pytest.approx((0.0015, 0.004))
    assert {timing.n for timing in timed.phases.values()} == {timed.latency.n}
    assert set(as_json(timed)["phases"]) == {"copy_in", "compute", "copy_out"}


def test_a_real_session_is_measured() -> None:
    (one,) = bench([Subject("tiny", real())], numbered(6), [5], Exactly(100))

    assert one.latency.p90 is not None and one.latency.p99 is not None
    assert 0 < one.latency.p50 <= one.latency.p90 <= one.latency.p99
    assert as_json(one)["backend"] == "onnxruntime"


def test_a_broken_network_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny, "BIAS", np.array([0, np.nan, 0], dtype=np.float32))

    with pytest.raises(WorkError, match=r"tiny .*logits that are not finite.*sskt-edge eval"):
        bench([Subject("tiny", real())], numbered(6), [1], ONCE)


def test_a_machine_that_changes_its_speed_is_not_steady() -> None:
    watch = Watch()
    subject = recorders(watch, a=0.01)[0]
    (one,) = bench([subject], numbered(6), [1], clock=lambda: watch.now**2)

    assert one.turns[0] < one.turns[1]
    assert not one.steady


def test_quick_latency_is_the_median_of_one_image_by_name() -> None:
    watch = Watch()
    subjects = recorders(watch, fp32=0.02, int8=0.01)

    found = quick_latency(subjects, numbered(6), clock=watch)

    assert list(found) == ["fp32", "int8"]
    assert found == pytest.approx({"fp32": 0.02, "int8": 0.01})
    assert watch.now < 5


@pytest.mark.parametrize(
    ("names", "count", "batch", "said"),
    [
        ([], 6, 1, "got nothing"),
        (["a", "a"], 6, 1, "got a, a; expected one or more, with different names"),
        (["a"], 0, 1, "got none"),
        (["a"], 6, 0, "a: got a batch of 0, expected 1 to 5"),
        (["a"], 6, 6, "a: got a batch of 6, expected 1 to 5"),
    ],
)
def test_a_wrong_input_is_an_error(names: list[str], count: int, batch: int, said: str) -> None:
    with pytest.raises(InputError, match=said):
        bench([Subject(name, real()) for name in names], numbered(count), [batch], ONCE)


def test_images_of_another_size_are_an_error() -> None:
    with pytest.raises(DataError, match="expected uint8"):
        bench([Subject("tiny", real())], numbered(6)[:, 1:], [1], ONCE)
