"""Nothing that this package opens reports to its maker, whatever the order of imports."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sskt_edge.common.telemetry import SWITCHES
from tests.bundle.tiny import tiny_onnx
from tests.native import CI, NativeWatch, native_watch

SESSION = """
import sys, numpy as np
from sskt_edge.inference.backends.onnxruntime.session import OnnxRuntimeSession
OnnxRuntimeSession(sys.stdin.buffer.read(), (8, 8, 3), 2).run(np.zeros((3, 8, 8, 3), np.uint8))
"""
OTHERS = """
import sys, sskt_edge, numpy as np
from sskt_edge.inference.backends.openvino.session import OpenVinoSession
OpenVinoSession(sys.stdin.buffer.read(), (8, 8, 3), 2).run(np.zeros((3, 8, 8, 3), np.uint8))
import huggingface_hub, onnxscript, optuna, tensorboard.summary.writer.record_writer, timm
optuna.logging.set_verbosity(optuna.logging.WARNING)
optuna.create_study().optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
timm.create_model("resnet18", pretrained=False)
"""
CONVERSION = "import sys, sskt_edge, onnxruntime.quantization; sys.stdin.read()"


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> NativeWatch:
    found = native_watch(tmp_path_factory.mktemp("watch"))
    return found or pytest.skip("needs a C compiler and Linux's loader")


def ran(code: str, home: Path, watch: NativeWatch, **environment: str) -> list[tuple[str, str]]:
    """Run Python code in an empty folder, with a tiny network on stdin; what it changed, and asked of the network."""
    log = watch.library.with_name("log")
    log.unlink(missing_ok=True)
    env = {key: value for key, value in os.environ.items() if key not in {*CI, *SWITCHES, "HOME"}}
    env |= {"PYTHONPATH": str(Path(__file__).parents[2]), **watch.environment(log), **environment}
    command = [sys.executable, "-B", "-c", code]
    done = subprocess.run(command, input=tiny_onnx(), cwd=home, env=env, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    return [(kind, what) for kind, what in watch.seen(log) if kind != "open" and not what.startswith("/dev/")]


@pytest.mark.parametrize("code", [SESSION, CONVERSION], ids=["session", "conversion"])
@pytest.mark.parametrize("with_home", [True, False])
def test_onnxruntime_leaves_no_file_and_asks_no_host(
    code: str, with_home: bool, tmp_path: Path, watch: NativeWatch
) -> None:
    places = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")} if with_home else {}
    assert ran(code, tmp_path, watch, **places) == []
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.slow
def test_the_other_libraries_leave_no_file_and_ask_no_host(tmp_path: Path, watch: NativeWatch) -> None:
    for library in ("openvino", "optuna", "timm"):
        pytest.importorskip(library)
    seen = ran(OTHERS, tmp_path, watch, HOME=str(tmp_path))
    # torch makes a folder for what it compiles, where temporary files are.
    assert [one for one in seen if "torchinductor" not in one[1]] == []
    assert list(tmp_path.rglob("*")) == []


def test_what_the_user_has_chosen_stays(tmp_path: Path, watch: NativeWatch) -> None:
    """Without this the tests above could not fail: the library reports, and the watch sees its files."""
    version = pytest.importorskip("onnxruntime").__version__
    if tuple(map(int, version.split(".")[:2])) < (1, 29):
        pytest.skip("reports from 1.29 on")
    seen = ran(SESSION, tmp_path, watch, HOME=str(tmp_path), ORT_DISABLE_TELEMETRY="0")
    assert any(kind == "change" and what.endswith("onnxruntime.db") for kind, what in seen)


def test_one_that_is_loaded_already_is_told_so(tmp_path: Path, watch: NativeWatch) -> None:
    code = """
import sys, onnxruntime
said = []
onnxruntime.disable_telemetry_events, real = lambda: (said.append(1), real()), onnxruntime.disable_telemetry_events
import sskt_edge
sys.stdin.read()
assert said == [1]
"""
    ran(code, tmp_path, watch, HOME=str(tmp_path))


def test_every_process_that_is_started_gets_the_switches() -> None:
    code = "import os, subprocess, sys, sskt_edge; subprocess.run([sys.executable, '-c', sys.argv[1]], check=True)"
    child = "import os; print(*map(os.environ.get, " + repr(list(SWITCHES)) + "))"
    env = {key: value for key, value in os.environ.items() if key not in SWITCHES}
    done = subprocess.run([sys.executable, "-c", code, child], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == list(SWITCHES.values())
    page = Path(__file__).parents[2] / "docs" / "getting-started.md"
    assert all(f"`{name}`" in page.read_text(encoding="utf-8") for name in SWITCHES)
