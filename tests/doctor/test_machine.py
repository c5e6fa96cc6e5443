"""The installed packages are found by metadata and by loading them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from sskt_edge.common.json import as_json
from sskt_edge.common.packages import extras
from sskt_edge.doctor.machine import look
from tests.machine.fake_machine import ORIN, jetson, lay_out, pynvml

LOOK = """
import json
from sskt_edge.common.json import as_json
from sskt_edge.doctor.machine import look
print(json.dumps(as_json(look())))
"""


def seen(site: Path) -> dict[str, Any]:
    """This machine, with the packages in `site` before its own."""
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run([sys.executable, "-c", LOOK], env=environment, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def installed(site: Path, name: str, version: str, module: str) -> Path:
    """A package in `site`, whose module is this text."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    return lay_out(site, {f"{info}/METADATA": metadata, f"{name}/__init__.py": module})


def test_every_package_of_every_extra_is_looked_for() -> None:
    assert set(look().packages) == {name for names in extras().values() for name in names}


def test_a_tensorrt_whose_libraries_are_missing_is_a_fault(tmp_path: Path) -> None:
    broken = "raise ImportError('libnvinfer.so.10: cannot open shared object file')"
    found = seen(installed(tmp_path, "tensorrt", "10.3.0", broken))
    assert found["packages"]["tensorrt"] == "10.3.0"
    assert "tensorrt" not in found["tensorrt"]
    (fault,) = found["tensorrt_faults"]
    assert "libnvinfer.so.10" in fault


def test_a_tensorrt_that_breaks_otherwise_is_a_fault_too(tmp_path: Path) -> None:
    found = seen(installed(tmp_path, "tensorrt", "10.3.0", "raise RuntimeError('no driver')"))
    assert found["tensorrt_faults"] == ["no driver"]


def test_a_tensorrt_that_is_too_old_is_a_fault(tmp_path: Path) -> None:
    found = seen(installed(tmp_path, "tensorrt", "8.6.2", ""))
    (fault,) = found["tensorrt_faults"]
    assert "8.6.2" in fault and "10.3 or newer" in fault


def test_jetpacks_tensorrt_is_found_without_the_metadata_of_a_package(tmp_path: Path) -> None:
    found = seen(lay_out(tmp_path, {"tensorrt/__init__.py": "__version__ = '10.3.0'"}))
    assert found["tensorrt"]["tensorrt"] == found["packages"]["tensorrt"] == "10.3.0"
    assert found["tensorrt_faults"] == []


def test_a_jetson_is_looked_at_by_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(pynvml(tmp_path / "site", [ORIN])))
    found = look(jetson(tmp_path))
    assert found.device.name == "Jetson with JetPack 6"
    assert found.gpu is not None
    assert json.loads(json.dumps(as_json(found)))["conditions"]["jetson"]["power_mode"] == "MAXN_SUPER"


@pytest.mark.parametrize("letting_in", [True, False])
def test_an_environment_says_whether_it_sees_the_systems_packages(tmp_path: Path, letting_in: bool) -> None:
    venv.create(tmp_path / "edge", system_site_packages=letting_in, with_pip=False)
    paths = os.pathsep.join(path for path in sys.path if path)
    code = "from sskt_edge.doctor.machine import look; print(look().system_packages)"
    python = tmp_path / "edge" / "bin" / "python"
    done = subprocess.run(
        [python, "-c", code], env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{letting_in}\n"
