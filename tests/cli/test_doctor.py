"""What the machine has, as the metadata of its packages says."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.run import sskt_edge


def test_doctor_finds_every_verb_ready_here(tmp_path: Path) -> None:
    machine = json.loads(sskt_edge("doctor", "--json", cwd=tmp_path).stdout)
    assert set(machine["verbs"].values()) == {"ready"}
    assert "CPUExecutionProvider" in machine["providers"]
    assert machine["warnings"] == []


WITHOUT = """
import sys
from importlib import metadata
found = metadata.version
def version(name):
    if name in sys.argv[1:]:
        raise metadata.PackageNotFoundError(name)
    return found(name)
metadata.version = version
from sskt_edge.runtime.machine import look
machine = look()
print({**machine.verbs(), **{name: machine.packages[name] for name in sys.argv[1:]}})
"""


@pytest.mark.parametrize(
    ("package", "stopped", "extra"),
    [
        ("openvino", "sources by OpenVINO", "openvino"),
        ("optuna", "compare, sweep", "study"),
        ("scipy", "compare, sweep", "study"),
        ("matplotlib", "compare, sweep", "study"),
    ],
)
def test_what_an_extra_lacks_stops_its_own_verbs_alone(package: str, stopped: str, extra: str) -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT, package], capture_output=True, text=True, check=True)
    said = ast.literal_eval(done.stdout)
    assert said.pop(package) is None
    assert said.pop(stopped) == f"pip install 'sskt-edge[{extra}]'"
    assert set(said.values()) == {"ready"}


def test_both_onnxruntimes_at_once_are_a_warning_with_what_to_do(tmp_path: Path) -> None:
    info = tmp_path / "site" / "onnxruntime_gpu-1.30.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime-gpu\nVersion: 1.30.0\n")
    done = sskt_edge("doctor", cwd=tmp_path, PYTHONPATH=str(tmp_path / "site"))
    assert done.returncode == 0
    assert "both installed" in done.stdout
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in done.stdout


def test_networks_lists_every_name_that_a_recipe_may_use(tmp_path: Path) -> None:
    from typing import get_args

    from sskt_edge.recipe.names import DataSetName, TargetName
    from sskt_edge.sources.zoo import OPENERS

    listed = json.loads(sskt_edge("networks", "--json", cwd=tmp_path).stdout)
    assert set(listed["targets"]) == set(get_args(TargetName))
    assert set(listed["data sets"]) == set(get_args(DataSetName))
    assert {name.partition("/")[0] for name in listed["sources"]} == set(OPENERS)
