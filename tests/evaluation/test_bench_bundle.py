from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from sskt_edge.bundle.bundle import Bundle, open_bundle
from sskt_edge.bundle.manifest import Batch
from sskt_edge.common.errors import InputError, Interrupted
from sskt_edge.common.json import as_json
from sskt_edge.evaluation.bench_bundle import batches_of, bench_bundle, reading
from sskt_edge.evaluation.effort import Exactly
from sskt_edge.evaluation.timing import Budget, repeat
from sskt_edge.images import read
from sskt_edge.images.decode import decode
from sskt_edge.inference.backends.onnxruntime.session import OnnxRuntimeSession
from sskt_edge.machine.conditions import conditions
from sskt_edge.machine.cores import usable_cores
from tests.bundle.tiny import SIDE, tiny_golden, tiny_onnx, write_bundle
from tests.evaluation.test_timing import Watch

ONCE = Exactly(1)


@pytest.fixture
def bundle(bundle_path: Path) -> Bundle:
    pytest.importorskip("onnxruntime")
    return open_bundle(bundle_path)


@pytest.mark.slow
def test_a_bundle_is_measured_at_one_image_and_at_its_own_batches(bundle: Bundle) -> None:
    found = bench_bundle(bundle, backend="onnxruntime", effort=ONCE)

    assert [one.batch for one in found.measurements] == [1, 4, 5]
    assert {one.subject.name for one in found.measurements} == {"fp32 onnxruntime-cpu"}
    assert found.preprocessing is not None and found.preprocessing.n == 1


@pytest.mark.parametrize(
    ("batch", "sizes"),
    [((1, 8, 64), [1, 8, 64]), ((1, 1, 4), [1, 4]), ((2, 4, 4), [2, 4])],
)
def test_no_batch_is_measured_twice_nor_below_the_fewest(batch: tuple[int, int, int], sizes: list[int]) -> None:
    least, usual, most = batch
    assert batches_of(Batch(min=least, opt=usual, max=most)) == sizes


def test_every_precision_is_measured_by_all_that_takes_it(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("openvino")
    bundle = open_bundle(write_bundle(tmp_path / "two", int8_cpu=tiny_onnx()))

    found = bench_bundle(bundle, provider="cpu", effort=ONCE)

    ways = ["fp32 onnxruntime-cpu", "fp32 openvino-cpu", "int8-cpu onnxruntime-cpu"]
    assert [one.subject.name for one in found.measurements] == ways * 3
    assert [one["precision"] for one in as_json(found)["measurements"]] == ["fp32", "fp32", "int8-cpu"] * 3


@pytest.mark.slow
def test_one_way_alone_can_be_asked_for(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    bundle = open_bundle(write_bundle(tmp_path / "two", fp16=tiny_onnx()))

    found = bench_bundle(bundle, "fp16", "onnxruntime", "cpu", effort=ONCE)

    assert {one.subject.name for one in found.measurements} == {"fp16 onnxruntime-cpu"}


@pytest.mark.slow
@pytest.mark.parametrize(("asked", "given"), [(0, usable_cores(conditions().processor)), (3, 3)])
def test_a_session_gets_the_threads_that_are_told(
    asked: int, given: int, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    opened, seen = onnxruntime.InferenceSession, []

    def noted(*told: Any, **named: Any) -> Any:
        session = opened(*told, **named)
        seen.append(session.get_session_options().intra_op_num_threads)
        return session

    monkeypatch.setattr(onnxruntime, "InferenceSession", noted)
    found = bench_bundle(bundle, provider="cpu", backend="onnxruntime", threads=asked, effort=ONCE)

    assert seen == [given] == [found.threads]
    assert f"Threads on a CPU: {given}; " in found.method[1]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no such call")
@pytest.mark.parametrize("threads", [0, 1])
def test_threads_that_are_told_are_kept_on_as_many_cores(
    threads: int, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, seen = os.sched_getaffinity(0), []
    run = OnnxRuntimeSession.run

    def running(self: OnnxRuntimeSession, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        seen.append(os.sched_getaffinity(0))
        return run(self, images)

    monkeypatch.setattr(OnnxRuntimeSession, "run", running)
    found = bench_bundle(bundle, backend="onnxruntime", provider="cpu", threads=threads, effort=ONCE)

    assert len(found.kept_on) == threads
    assert seen and all(cores == (set(found.kept_on) or before) for cores in seen)
    assert os.sched_getaffinity(0) == before
    assert found.before.processor.cores == found.after.processor.cores == len(before)
    said = f"pinned to core {found.kept_on[0]}." if threads else "the libraries choose the cores."
    assert found.method[1].endswith(said)
    assert as_json(found)["kept_on_cores"] == (list(found.kept_on) or None)


# OpenVINO looks once a process at what cores there are, hence one of its own. The last core, since the first is what
# it would take of itself.
KEPT = """
import os, sys, threading, time
from pathlib import Path
from sskt_edge.evaluation import bench_bundle as module
from sskt_edge.bundle.bundle import open_bundle
from sskt_edge.machine import cores
from sskt_edge.evaluation.effort import Within

last, seen, done = max(os.sched_getaffinity(0)), set(), threading.Event()
cores.choose_cores = lambda *_: (last,)
here, measure = os.getpid(), module.carry_out

def watch():
    while not done.is_set():
        seen.update(os.sched_getaffinity(here))
        time.sleep(1e-4)

def carry_out(*words):
    watching = threading.Thread(target=watch)
    watching.start()
    measure(*words)
    done.set()
    watching.join()
    for task in Path("/proc/self/task").iterdir():
        if task.name not in others:
            seen.update(os.sched_getaffinity(int(task.name)))

module.carry_out = carry_out
bundle = open_bundle(sys.argv[1])
others = {task.name for task in Path("/proc/self/task").iterdir()}
found = module.bench_bundle(bundle, provider="cpu", threads=2, effort=Within(2.0))
print(*seen - {last}, *sorted({one.subject.name for one in found.measurements}))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds threads by /proc")
def test_no_library_leaves_the_cores_that_it_is_kept_on(bundle: Bundle) -> None:
    pytest.importorskip("openvino")
    done = subprocess.run([sys.executable, "-c", KEPT, str(bundle.path)], capture_output=True, text=True, check=False)
    assert done.stdout == "fp32 onnxruntime-cpu fp32 openvino-cpu\n", done.stderr


def test_an_unknown_backend_is_an_error(bundle: Bundle) -> None:
    with pytest.raises(InputError, match=r"Unknown backend 'onnxruntim'. Nearest: 'onnxruntime'"):
        bench_bundle(bundle, backend="onnxruntim", effort=ONCE)


def test_every_golden_image_is_read_as_a_jpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    images, given, watch = tiny_golden().images, [], Watch()

    def recording(content: bytes, where: str) -> object:
        given.append(content)
        watch.now += 0.01
        return decode(content, where)

    monkeypatch.setattr(read, "decode", recording)
    (job,) = reading(images, "image")
    timed = repeat(job.contender.call, Budget(0.0, 200), watch)

    assert timed == pytest.approx([0.01] * 200)
    assert len(set(given)) == len(images)
    for content, image in zip(given, images, strict=False):
        assert content.startswith(b"\xff\xd8\xff")
        pixels = np.asarray(decode(content, "x"), dtype=int)
        assert pixels.shape == (SIDE, SIDE, 3)
        assert np.abs(pixels.mean(axis=(0, 1)) - image.mean(axis=(0, 1))).max() < 5


@pytest.mark.slow
@pytest.mark.parametrize(("signalled", "number"), [(KeyboardInterrupt(), 2), (Interrupted("x", 15), 15)])
def test_a_signal_keeps_what_was_measured(
    signalled: BaseException, number: int, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, given = OnnxRuntimeSession.run, list[int]()

    def running(self: OnnxRuntimeSession, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        given.append(len(images))
        if given.count(4) > 4:  # after the trial of the second batch
            raise signalled
        return run(self, images)

    monkeypatch.setattr(OnnxRuntimeSession, "run", running)
    found = bench_bundle(bundle, backend="onnxruntime", provider="cpu", effort=Exactly(3))

    assert found.stopped == as_json(found)["stopped_by_signal"] == number
    assert [(one.batch, one.latency.n) for one in found.measurements] == [(1, 3)]
    assert list(found.left_out) == [f"fp32 onnxruntime-cpu, batch {batch}" for batch in (4, 5)]


def test_a_signal_before_anything_is_measured_is_a_signal(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def running(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(OnnxRuntimeSession, "run", running)
    with pytest.raises(KeyboardInterrupt):
        bench_bundle(bundle, backend="onnxruntime", provider="cpu", effort=ONCE)


@pytest.mark.slow
def test_batches_that_are_asked_for_are_measured_and_no_others(bundle: Bundle) -> None:
    found = bench_bundle(bundle, backend="onnxruntime", provider="cpu", batches=[3, 2, 3], effort=ONCE)
    assert [one.batch for one in found.measurements] == [2, 3]
    with pytest.raises(InputError, match="--batch 6"):
        bench_bundle(bundle, batches=[6], effort=ONCE)


@pytest.mark.slow
def test_the_report_is_json(bundle: Bundle) -> None:
    found = bench_bundle(bundle, backend="onnxruntime", effort=ONCE)

    said = json.loads(json.dumps(as_json(found)))

    assert said["bundle"] == "tiny"
    assert set(said) == {
        "bundle",
        "before",
        "after",
        "threads",
        "kept_on_cores",
        "effort",
        "method",
        "preprocessing",
        "measurements",
        "unavailable",
        "left_out",
        "stopped_by_signal",
    }
    for one in said["measurements"]:
        assert set(one["latency"]) == {"n", "mean_ms", "p50_ms", "p90_ms", "p99_ms"}
        assert one["phases"] is None
        assert one["images_per_second"] == pytest.approx(one["batch"] * 1000 / one["latency"]["mean_ms"])


@pytest.mark.slow
def test_the_method_says_what_was_measured(bundle: Bundle) -> None:
    pytest.importorskip("openvino")
    alone = bench_bundle(bundle, backend="onnxruntime", effort=ONCE)
    both = bench_bundle(bundle, effort=ONCE)

    assert "taking turns" not in alone.method[0] and "taking turns" in both.method[0]
    assert f"JPEGs of {SIDE} × {SIDE} made from the golden images" in " ".join(alone.method)
