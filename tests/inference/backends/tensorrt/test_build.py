from __future__ import annotations

import hashlib
import itertools
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sskt_edge.bundle.manifest import Batch
from sskt_edge.common.errors import BundleError, InputError, MissingExtraError, NetworkError, StorageError, WorkError
from sskt_edge.inference.backends.tensorrt import builder, cuda
from sskt_edge.inference.backends.tensorrt.build import Built, build_engine
from sskt_edge.inference.backends.tensorrt.flavours import Flavour, choose
from sskt_edge.inference.backends.tensorrt.logger import logger_of
from tests.inference.backends.tensorrt.nets import PRECISIONS, SIDE, network, node, quantised, with_function

pytest.importorskip("tensorrt_rtx")
BATCH = Batch(min=1, opt=2, max=4)
needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="finds a process by /proc")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder of the test's own, which every test leaves empty."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def build(onnx: bytes, name: str = "fp32", **options: Any) -> Built:
    options = {"flavour": choose("tensorrt_rtx"), "batch": BATCH, **options}
    return build_engine(onnx, shape=(SIDE, SIDE, 3), network=name, **options)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_an_engine_is_built_and_its_sidecar_says_of_what(precision: str) -> None:
    onnx, flavour = PRECISIONS[precision](), choose("tensorrt_rtx")

    built = build(onnx, precision)

    sidecar = built.sidecar
    assert sidecar.plan_sha256 == hashlib.sha256(built.plan).hexdigest()
    assert sidecar.onnx_sha256 == hashlib.sha256(onnx).hexdigest()
    assert (sidecar.flavour, sidecar.version, sidecar.network) == (flavour.name, flavour.version, precision)
    assert (sidecar.shape, sidecar.batch) == ((SIDE, SIDE, 3), BATCH)
    assert (sidecar.gpu, sidecar.compute_capabilities, sidecar.tf32) == (None, [], False)
    assert built.timing_cache == b""
    assert validity(built.plan) != validity(b"\0" * len(built.plan))
    for said in ("[INFO]", "[VERBOSE]", "Parsing node: "):
        assert said in built.log


def validity(plan: bytes) -> object:
    """What TensorRT for RTX makes of a plan: without a GPU too it tells plans that cannot run here from other files."""
    trt = choose("tensorrt_rtx").module()
    return trt.Runtime(logger_of(trt)).get_engine_validity(plan)


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "computes_in"), [("fp32", b"float"), ("fp16", b"half"), ("int8", b"int8")])
def test_an_engine_computes_in_the_types_of_the_graph_without_tf32(precision: str, computes_in: bytes) -> None:
    plan = build(PRECISIONS[precision]()).plan  # TensorRT for RTX writes most of it in letters
    assert re.findall(rb"dims=\{ \d \d 3 3 \}.*type=(\w+)", plan) == [computes_in]
    assert re.findall(rb"\n *(tf32=\d)", plan) == [b"tf32=0"]


@pytest.mark.slow
def test_an_engine_is_for_the_cards_that_were_asked_for() -> None:
    for wanted, has in ((["8.6", "12.0"], b"{sm86 sm120 }"), ([], b"{sm80 }")):
        built = build(network(), compute_capabilities=wanted)
        assert built.sidecar.compute_capabilities == wanted
        assert re.findall(rb"accelerators=(\{.*\})", built.plan) == [has]


@pytest.mark.slow
def test_an_engine_is_for_the_batches_that_were_asked_for() -> None:
    assert build(network()).plan != build(network(), batch=Batch(min=1, opt=2, max=64)).plan


@pytest.mark.slow
def test_turing_takes_fp16_only() -> None:
    assert build(network(dtype="FLOAT16"), compute_capabilities=["7.5"]).plan
    with pytest.raises(WorkError, match=r"could not build the engine: .*Turing \(SM75\): FP32 GEMM is not supported"):
        build(network(), compute_capabilities=["7.5"])


@pytest.mark.parametrize(
    ("wanted", "said"),
    [(["6.1"], r"capability '6\.1'\. Known: 7\.5, 8\.0, 8\.6"), (["sm86"], r"got 'sm86', expected .*'8\.6'")],
)
def test_a_compute_capability_that_it_does_not_know_is_refused(wanted: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        build(network(), compute_capabilities=wanted)


def test_each_unsupported_node_is_named_with_its_place() -> None:
    unknown = (
        node("Frobnicate", ["conv"], ["a"], "layer1/frob"),
        node("Relu", ["a"], ["b"], "layer1/relu"),
        node("Det", ["b"], ["middle"], "layer2/größe"),
    )
    with pytest.raises(NetworkError) as refusal:
        build(network(*unknown))
    message = str(refusal.value)
    assert "Frobnicate 'layer1/frob' at node 3 (INVALID_NODE: " in message
    assert "Det 'layer2/größe' at node 5 (UNSUPPORTED_NODE: " in message
    assert "relu" not in message


def test_a_node_inside_of_a_function_is_named_with_it() -> None:
    with pytest.raises(NetworkError, match=r"Frobnicate 'inner' at node 3, in outer \(Block\) \("):
        build(with_function(node("Frobnicate", ["x"], ["y"], "inner")))


def test_a_fault_that_is_in_no_node_is_told() -> None:
    with pytest.raises(NetworkError, match=r"Refused: the graph \(INVALID_GRAPH: .*: odd\)"):
        build(network(constants={"odd": np.ones(3, np.complex64)}))


def test_many_unsupported_nodes_are_counted() -> None:
    names = ["conv", *(f"x{number}" for number in range(24)), "middle"]
    pairs = itertools.pairwise(names)
    with pytest.raises(NetworkError, match=r"'frob19' at node 22 .*; and 5 more"):
        build(network(*(node("Frobnicate", [a], [b], f"frob{at}") for at, (a, b) in enumerate(pairs))))


@pytest.mark.slow
def test_names_of_any_letters_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}.items():
        monkeypatch.setenv(name, value)
    assert "größe" in build(network(node("Relu", ["conv"], ["middle"], "größe"))).log


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(lambda: quantised(3), r"QuantizeLinear 'block/quantise' at node 2 .*zero point", id="zero of 3"),
        pytest.param(lambda: quantised(128, "uint8"), r"QuantizeLinear 'block/quantise' at node 2", id="uint8 of 128"),
        pytest.param(lambda: quantised(0, "uint8"), r"uint8 zero point, which it would compute as int8", id="uint8"),
        pytest.param(
            lambda: network(node("Transpose", ["images"], ["middle"], "early", perm=[0, 3, 1, 2])),
            r"Transpose 'early' at node 3 .*first input has type UInt8",
            id="uint8 turned",
        ),
    ],
)
def test_what_it_would_compute_wrongly_or_not_at_all_is_refused(content: Any, said: str) -> None:
    with pytest.raises(NetworkError, match=said) as refusal:
        build(content())
    assert "cudaError" not in str(refusal.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    "form",
    [{"side": SIDE + 1}, {"batch": 2}, {"images": "FLOAT"}, {"outputs": ("logits", "pooled")}],
    ids=["another size", "fixed batch", "float images", "two outputs"],
)
def test_a_network_of_another_form_is_refused(form: dict[str, Any]) -> None:
    with pytest.raises(NetworkError, match=r"another form: got images: .*expected one input uint8 \[N,8,8,3\]"):
        build(network(**form))


def test_a_file_with_data_outside_is_refused() -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(network())
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], "/etc/hostname")
    with pytest.raises(BundleError, match="data outside the file"):
        build(model.SerializeToString())


def test_a_crash_of_native_code_is_an_error_with_the_last_lines() -> None:
    # A function that calls itself: no tool writes one, and the parser follows it until its stack is full.
    with pytest.raises(WorkError, match=r"ended (by signal SIG|with exit code)[^\n]* Its last lines:\n.*\[") as crash:
        build(with_function(node("Block", ["x"], ["y"], "again", domain="local")))
    assert 2 <= len(str(crash.value).splitlines()) <= 11


@needs_proc
def test_a_process_that_the_system_kills_says_so() -> None:
    killer = threading.Thread(target=lambda: os.kill(builder_of(os.getpid()), signal.SIGKILL))
    killer.start()
    with pytest.raises(WorkError, match=r"by signal SIGKILL\. The system does this when memory runs out"):
        build(network())
    killer.join()


INTERRUPTED = """
import signal, sys
from pathlib import Path
from sskt_edge.common.errors import Interrupted
from tests.inference.backends.tensorrt.nets import long
from tests.inference.backends.tensorrt.test_build import build

def stop(signum, frame):
    raise Interrupted("stopped", signum)

for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, stop)
try:
    build(long())
except Interrupted as error:
    sys.exit(error.exit_code)
"""


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_build_and_leaves_nothing(number: signal.Signals, temporary: Path) -> None:
    root = Path(__file__).parents[4]
    with subprocess.Popen([sys.executable, "-c", INTERRUPTED], cwd=root) as process:
        try:
            child = builder_of(process.pid)
            wait_for(lambda: any(log.stat().st_size for log in temporary.glob("*/log.txt")))
            os.kill(child, signal.SIGSTOP)  # so that it cannot end by itself
            process.send_signal(number)
            assert process.wait(20) == 128 + number
        finally:
            process.kill()
    assert not Path(f"/proc/{child}").exists()


def builder_of(pid: int) -> int:
    """The process that builds for the process `pid`, waited for."""

    found: list[int] = []

    def look() -> bool:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in task.read_text().split():
                if builder.__name__.encode() in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.append(int(child))
        return bool(found)

    wait_for(look)
    return found[0]


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(4000):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("it did not come in 20 s")


@pytest.mark.slow
def test_modules_in_the_current_folder_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tensorrt_rtx.py").write_text("raise SystemExit('the wrong one')")
    monkeypatch.chdir(tmp_path)
    assert build(network()).plan


def test_another_version_than_the_one_that_loads_is_refused() -> None:
    with pytest.raises(MissingExtraError, match=r"1\.0\.0, but the module that loads is 1\."):
        build(network(), flavour=Flavour("tensorrt_rtx", "1.0.0"))


def test_tensorrt_builds_for_this_gpu_only() -> None:
    pytest.importorskip("cuda.bindings")
    flavour = Flavour("tensorrt", "10.3.0")
    with pytest.raises(InputError, match=re.escape("the GPU of this machine only; got compute capabilities 8.6")):
        build(network(), flavour=flavour, compute_capabilities=["8.6"])
    if cuda.device() is None:
        with pytest.raises(InputError, match="GPU"):
            build(network(), flavour=flavour)


def test_a_temporary_folder_that_takes_nothing_is_a_storage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="Could not write"):
        build(network())
