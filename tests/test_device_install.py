"""What a device installs: the base package and onnxruntime, in an environment without torch, on the oldest Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sskt_edge
from sskt_edge.bundle.bundle import Bundle
from sskt_edge.recipe.export_options import with_options
from sskt_edge.recipe.shipped import shipped_recipes
from sskt_edge.targets.run_folder import TrainedNetwork

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parent.parent
PRECISIONS = ("fp32", "fp16", "int8")


def oldest_python() -> str:
    """Python 3.10 where this machine has one that starts, else the one that runs the tests."""
    found = shutil.which("python3.10")
    if found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
        return found
    return sys.executable


@pytest.fixture(scope="module")
def bundle(tiny_run: TrainedNetwork, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of every precision, made here. So little trained a network changes its mind in int8; it may."""
    wide = ("export.parity.int8_agreement=0.5", "export.parity.int8_metric_drop=0.5")
    recipe = with_options(tiny_run.recipe, precisions=PRECISIONS, overrides=wide)
    made = sskt_edge.export(replace(tiny_run, recipe=recipe), tmp_path_factory.mktemp("bundles") / "tiny")
    assert set(PRECISIONS) <= set(made.manifest.precisions)
    return made


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a fresh environment with the base install and onnxruntime alone."""
    home = tmp_path_factory.mktemp("device")
    subprocess.run([oldest_python(), "-m", "venv", home], check=True)
    subprocess.run(
        [home / "bin" / "python", "-m", "pip", "install", "--quiet", f"{REPOSITORY}[cpu]"], check=True, cwd=home
    )
    return home / "bin"


def files_in(folder: Path) -> dict[str, bytes]:
    """Without what pip compiles."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.parent.name != "__pycache__")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def run(device: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [str(device / words[0]), *words[1:]]
    return subprocess.run(command, cwd=device, env=environment, capture_output=True, text=True, check=False)


def test_the_device_has_neither_torch_nor_onnx(device: Path) -> None:
    for package in ("torch", "torchvision", "onnx", "timm"):
        assert run(device, "python", "-c", f"import {package}").returncode == 1


def test_a_bundle_made_here_evaluates_there(device: Path, bundle: Bundle) -> None:
    done = run(device, "sskt-edge", "eval", str(bundle.path), "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["passed"]
    results = {one["precision"]: one["parity"] for one in report["results"]}
    assert set(results) == set(bundle.manifest.precisions)
    assert results["fp32"]["max_abs"] <= 1e-4
    assert results["fp32"]["agreement"] == 1


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_precision_is_measured_there(device: Path, bundle: Bundle, precision: str) -> None:
    words = ("bench", str(bundle.path), "--precision", precision, "--runs", "1", "--json")
    done = run(device, "sskt-edge", *words)
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)["measurements"]
    assert {one["name"] for one in measured} == {f"{precision} onnxruntime-cpu"}
    assert {one["batch"] for one in measured} == {1, 4, 8}
    assert all(one["latency"]["n"] == 1 for one in measured)


def test_engines_need_no_torch_and_say_what_they_need(device: Path, bundle: Bundle) -> None:
    done = run(device, "sskt-edge", "export", str(bundle.path), "--trt")
    assert done.returncode == 2
    assert "Engines need a TensorRT" in done.stderr and "pip install 'sskt-edge[rtx]'" in done.stderr


def test_a_photograph_is_classified_there(device: Path, bundle: Bundle, tmp_path: Path) -> None:
    image = tmp_path / "image.png"
    Image.fromarray(np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3)).save(image)
    done = run(device, "sskt-edge", "predict", str(bundle.path), str(image), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["images"][0]["image"] == str(image)


def test_the_wheel_carries_the_recipes(device: Path) -> None:
    done = run(device, "sskt-edge", "recipe", "list", "--json")
    assert set(json.loads(done.stdout)) == set(shipped_recipes())


def test_the_wheel_carries_the_kit(device: Path) -> None:
    where = run(device, "python", "-c", "import sskt_edge; print(sskt_edge.__path__[0])").stdout.strip()
    assert files_in(Path(where) / "shipped" / "export") == files_in(REPOSITORY / "export") != {}


def test_what_needs_torch_says_how_to_install_it(device: Path, bundle: Bundle) -> None:
    for words in (("train", "quickstart"), ("export",)):
        done = run(device, "sskt-edge", *words)
        assert done.returncode == 2
        assert "pip install 'sskt-edge[train]'" in done.stderr
        assert "Traceback" not in done.stderr


def test_python_sees_the_runtime_there(device: Path, bundle: Bundle) -> None:
    script = (
        "import sys, numpy, sskt_edge; b = sskt_edge.open_bundle(sys.argv[1]); "
        "print(sskt_edge.open_session(b).run(b.golden().images[:3]).shape, 'torch' in sys.modules)"
    )
    done = run(device, "python", "-c", script, str(bundle.path))
    assert done.stdout.split(")")[0] == "(3, 10", done.stderr
    assert "False" in done.stdout
