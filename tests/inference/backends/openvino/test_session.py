from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from sskt_edge.bundle.bundle import open_bundle
from sskt_edge.common.errors import BundleError, DataError, InputError, MissingExtraError, NetworkError
from sskt_edge.inference.backends.openvino.session import OpenVinoSession
from sskt_edge.inference.backends.openvino.versions import versions
from sskt_edge.inference.open_session import open_session
from tests.bundle.tiny import SIDE, reference, tiny_model, tiny_onnx, write_bundle

pytest.importorskip("openvino", reason="openvino is not installed")


def open_tiny(content: bytes | None = None, **how: Any) -> OpenVinoSession:
    content = tiny_onnx() if content is None else content
    return OpenVinoSession(content, (SIDE, SIDE, 3), 4, threads=1, **how)


def images(count: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.mark.parametrize("fixed_batch", [False, True])
@pytest.mark.parametrize("count", [1, 3, 4, 5, 8, 9])
def test_any_batch_gives_the_logits_of_the_network(count: int, fixed_batch: bool) -> None:
    logits = open_tiny(fixed_batch=fixed_batch).run(images(count))
    assert logits.dtype == np.float32
    assert np.abs(logits - reference(images(count))).max() < 1e-5


def test_answers_stay_when_the_session_runs_again() -> None:
    session = open_tiny(fixed_batch=True)
    first = session.run(images(4))
    kept = first.copy()
    session.run(255 - images(4))
    assert np.array_equal(first, kept)


def test_images_that_do_not_lie_in_a_row_are_read_right() -> None:
    mirrored = images(3)[:, :, ::-1]
    assert np.abs(open_tiny().run(mirrored) - reference(mirrored)).max() < 1e-5


def test_a_session_says_what_runs_it() -> None:
    session = open_tiny()
    assert (session.backend, session.provider, session.precision) == ("openvino", "cpu", "fp32")
    assert session.versions == versions()
    assert session.max_batch == 4


def test_the_precision_is_the_one_that_it_computes_in() -> None:
    full, half = open_tiny(precision="fp32").run(images(4)), open_tiny(precision="bf16")
    apart = np.abs(half.run(images(4)) - full).max()
    assert half.precision == ("bf16" if apart > 1e-4 else "fp32")
    assert apart < 0.1


def test_a_bundle_is_run_by_name(tmp_path: Path) -> None:
    bundle = open_bundle(write_bundle(tmp_path / "bundle"))
    session = open_session(bundle, backend="openvino", threads=1)
    golden = bundle.golden()
    assert np.abs(session.run(golden.images) - golden.logits).max() < 1e-4


@pytest.mark.parametrize(
    "wrong",
    [images(2).astype(np.float32), images(2)[0], images(2).transpose(0, 3, 1, 2), images(2)[:0]],
    ids=["float", "one image", "NCHW", "none"],
)
def test_images_of_another_form_are_refused(wrong: npt.NDArray[np.uint8]) -> None:
    with pytest.raises(DataError, match=r"got \w+ \[.*\], expected uint8 \[N,8,8,3\]"):
        open_tiny().run(wrong)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(lambda: tiny_onnx(side=9), id="another size"),
        pytest.param(lambda: tiny_onnx(batch=2), id="fixed batch"),
        pytest.param(lambda: tiny_onnx(dtype="FLOAT"), id="float images"),
        pytest.param(lambda: tiny_onnx(outputs=2), id="two outputs"),
    ],
)
def test_a_network_of_another_form_is_refused(content: Callable[[], bytes]) -> None:
    with pytest.raises(NetworkError, match=r"expected one input uint8 \[N,8,8,3\] and one output"):
        open_tiny(content())


def unknown_operator() -> bytes:
    model = tiny_model()
    model.graph.node[2].op_type = "NoSuchOperator"
    content: bytes = model.SerializeToString()
    return content


def test_a_network_without_an_input_is_refused() -> None:
    with pytest.raises(NetworkError, match="got nothing; expected one input"):
        open_tiny(b"")


def test_what_openvino_does_not_take_is_one_line() -> None:
    with pytest.raises(NetworkError, match=r"OpenVINO does not support the network: .*NoSuchOperator") as caught:
        open_tiny(unknown_operator())
    assert "\n" not in str(caught.value)
    assert ".cpp" not in str(caught.value)


@pytest.mark.parametrize(("key", "known"), [("provider", "auto, cpu"), ("precision", "fp32, bf16")])
def test_an_unknown_provider_or_precision_lists_those_known(key: str, known: str) -> None:
    how: dict[str, Any] = {key: "none"}
    with pytest.raises(InputError, match=rf"Unknown {key} 'none'\. Known: {known}"):
        open_tiny(**how)


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'sskt-edge\[openvino\]'"):
        open_tiny()


def test_an_answer_of_another_length_is_refused() -> None:
    """Never run: OpenVINO writes past the end of what a Reshape has room for, and later sessions crash."""
    onnx = pytest.importorskip("onnx")
    model = tiny_model()
    model.graph.node[2].output[0] = "three"
    model.graph.node.append(onnx.helper.make_node("Reshape", ["three", "two rows"], ["logits"]))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([2, 3]), "two rows"))
    with pytest.raises(NetworkError, match=r"another form.*logits: f32 \[2,3\]"):
        open_tiny(model.SerializeToString())


def test_external_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = tiny_model()
    weight = model.graph.initializer[1]
    (tmp_path / "weight.data").write_bytes(weight.raw_data)
    weight.ClearField("raw_data")
    weight.data_location = 1
    weight.external_data.add(key="location", value="weight.data")
    with pytest.raises(BundleError, match="tensor 'weight' has its data outside"):
        open_tiny(model.SerializeToString())


def test_openvinos_own_format_is_refused() -> None:
    with pytest.raises(BundleError, match="not a complete ONNX file"):
        open_tiny(b'<?xml version="1.0"?><net name="x" version="11"><layers/><edges/></net>')


USE = """
import sys
import numpy as np
from sskt_edge.inference.backends.openvino.session import OpenVinoSession
content = sys.stdin.buffer.read()
for precision in ("fp32", "bf16"):
    OpenVinoSession(content, (8, 8, 3), 2, precision=precision).run(np.zeros((3, 8, 8, 3), np.uint8))
assert "openvino_telemetry" not in sys.modules
"""


def test_a_session_writes_no_file_warns_of_nothing_and_reports_to_nobody(tmp_path: Path) -> None:
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    root = str(Path(__file__).parents[4])
    env = {**os.environ, "HOME": str(home), "USERPROFILE": str(home), "TMPDIR": str(work), "PYTHONPATH": root}
    command = [sys.executable, "-B", "-W", "error", "-c", USE]
    done = subprocess.run(command, input=tiny_onnx(), env=env, cwd=work, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert list(home.rglob("*")) == []
    assert list(work.rglob("*")) == []


def test_hiding_the_telemetry_leaves_it_to_others() -> None:
    versions()
    assert pytest.importorskip("openvino_telemetry") is sys.modules["openvino_telemetry"]


# OpenVINO gives the thread another stack for signals, on processors with AMX, and takes the wrong one away in the end.
SIGNAL = """
import signal, sys
from pathlib import Path
from sskt_edge.inference.backends.openvino.session import OpenVinoSession
signal.signal(signal.SIGINT, lambda *_: print("handled", flush=True))
content, shape = Path(sys.argv[1]).read_bytes(), (int(sys.argv[2]), int(sys.argv[2]), 3)
sessions = [OpenVinoSession(content, shape, 4) for _ in range(2)]
while sessions:
    del sessions[0]
    signal.raise_signal(signal.SIGINT)
"""


def test_signals_reach_python_after_sessions_were_dropped_in_any_order(tmp_path: Path) -> None:
    (tmp_path / "tiny.onnx").write_bytes(tiny_onnx())
    command = [sys.executable, "-c", SIGNAL, str(tmp_path / "tiny.onnx"), str(SIDE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "handled\nhandled\n"), done.stderr
