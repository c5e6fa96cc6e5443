"""Processes of their own, since this one has torch already."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sskt_edge.convert.fp32_from_run import fp32_from_run
from sskt_edge.targets.reference import reference_logits
from sskt_edge.targets.run_folder import TrainedNetwork

ASK = """
import hashlib, json, os, signal, sys
from contextlib import contextmanager
from pathlib import Path

from sskt_edge.convert.torch_process import ask_torch
from sskt_edge.common.errors import SsktEdgeError
from sskt_edge.common.progress import Quiet
from sskt_edge.targets.finished_run import read_finished

def started():
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text()

class Heard(Quiet):
    bars = []

    @contextmanager
    def bar(self, what, total):
        self.bars.append([what, total, 0])
        if what == sys.argv[2]:
            os.kill(int(started().split()[0]), signal.SIGKILL)
        yield self

    def advance(self, steps=1):
        self.bars[-1][2] += steps

run = read_finished(sys.argv[1])
told = {}
try:
    fp32, logits = ask_torch(run, run.golden().images, Heard())
    told["hashes"] = [hashlib.sha256(one).hexdigest() for one in (fp32, logits.tobytes())]
except (SsktEdgeError, ModuleNotFoundError) as error:
    told["error"] = [type(error).__name__, str(error)]
heavy = sorted({name.partition(".")[0] for name in sys.modules} & {"torch", "torchvision", "onnxscript"})
print(json.dumps({**told, "bars": Heard.bars, "heavy": heavy, "left": started()}))
"""


def ask(tmp_path: Path, run: Path, killed_at: str = "") -> dict[str, Any]:
    script = tmp_path / "ask.py"
    script.write_text(ASK)
    done = subprocess.run([sys.executable, script, run, killed_at], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.slow
def test_the_answers_are_those_of_torch_here_and_it_is_not_loaded(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    images = tiny_run.golden().images
    fp32, logits = fp32_from_run(tiny_run), reference_logits(tiny_run.network, tiny_run.pixels, images)

    told = ask(tmp_path, tiny_run.folder.path)

    assert told["hashes"] == [hashlib.sha256(one).hexdigest() for one in (fp32, logits.tobytes())]
    assert told["heavy"] == [] and told["left"] == ""
    asked = ["torch, fp32", len(images), len(images)]
    assert told["bars"] == [["load torch", 1, 0], asked, asked, ["torch to ONNX", 1, 1]]


@pytest.mark.slow
def test_an_error_is_what_it_is_here(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    run = shutil.copytree(tiny_run.folder.path, tmp_path / "run")
    (run / "primary.safetensors").write_bytes(b"other")

    kind, message = ask(tmp_path, run)["error"]

    assert kind == "RunError" and "primary.safetensors' was changed" in message


def test_torch_that_is_not_installed_is_named_as_it_is_here(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    """A module of its name stands in its way, as an environment without it would."""
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')")

    assert ask(tmp_path, tiny_run.folder.path)["error"] == ["ModuleNotFoundError", "No module named 'torch'"]


@pytest.mark.slow
def test_a_process_that_the_system_ends_is_said(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    kind, message = ask(tmp_path, tiny_run.folder.path, "torch to ONNX")["error"]

    assert kind == "WorkError" and "code -9" in message and "memory" in message


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="children are found in /proc")
def test_ctrl_c_ends_both_with_one_line(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "sskt_edge.cli.main", "export", tiny_run.folder.path, "--out", tmp_path / "bundle"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None and not any(
        "torch_process" in command_of(one) for one in children.read_text().split()
    ):
        pass
    started = children.read_text().split()
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=60)

    assert process.returncode == 130, said
    assert [line for line in said.splitlines() if line.strip()] == said.splitlines()[:1] and "topped" in said
    assert not (tmp_path / "bundle").exists()
    # A signal within the start itself leaves the process out of reach; it ends when it finds that nobody asks.
    assert started
    deadline = time.monotonic() + 60
    while any(runs(one) for one in started):
        assert time.monotonic() < deadline, started
        time.sleep(0.01)


def test_one_that_is_stopped_before_it_had_asked_is_silent() -> None:
    code = "from sskt_edge.convert.torch_process import serve; serve()"
    done = subprocess.run([sys.executable, "-c", code], input=b"", capture_output=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")


def command_of(process: str) -> str:
    try:
        return Path("/proc", process, "cmdline").read_text()
    except OSError:
        return ""


def runs(process: str) -> bool:
    """Whether the process exists and has not ended; one that has ended stays listed until its parent asks for it."""
    try:
        return Path("/proc", process, "stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False
