"""What doctor says of this machine, and of others that are laid out in its place."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import pytest

from tests.cli.run import Verb, sskt_edge
from tests.machine.fake_machine import H100, RTX_4090, pynvml


def test_doctor_finds_every_verb_ready_here_but_those_that_need_a_gpu(tmp_path: Path) -> None:
    hiding = pynvml(tmp_path / "site", None)
    machine = json.loads(sskt_edge("doctor", "--json", cwd=tmp_path, PYTHONPATH=str(hiding)).stdout)
    by_tensorrt = {verb for verb, state in machine["verbs"].items() if not state.startswith("ready")}
    assert by_tensorrt <= {"sources by TensorRT", "eval, bench, predict by TensorRT"}
    assert machine["install"] is None
    assert "CPUExecutionProvider" in machine["providers"]
    assert machine["warnings"] == []


def hide(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """The metadata of these packages is not found."""
    found = metadata.version

    def version(name: str) -> str:
        if name in packages:
            raise metadata.PackageNotFoundError(name)
        return found(name)

    monkeypatch.setattr(metadata, "version", version)


@pytest.mark.parametrize(
    ("package", "stopped", "extra"),
    [
        ("openvino", "sources by OpenVINO", "openvino"),
        ("optuna", "compare, sweep", "study"),
        ("scipy", "compare, sweep", "study"),
        ("matplotlib", "compare, sweep", "study"),
        ("imagehash", "recipe check --data", "copies"),
        ("mlxtend", "the quickstart recipe", "demo"),
    ],
)
def test_what_an_extra_lacks_stops_its_own_verbs_alone(
    verb: Verb, monkeypatch: pytest.MonkeyPatch, package: str, stopped: str, extra: str
) -> None:
    whole = json.loads(verb("doctor", "--json")[1])
    hide(monkeypatch, package)
    lacking = json.loads(verb("doctor", "--json")[1])
    assert lacking["packages"] == {**whole["packages"], package: None}
    assert lacking["verbs"] == {**whole["verbs"], stopped: f"pip install 'sskt-edge[{extra}]'"}


def test_both_onnxruntimes_at_once_are_a_warning_with_what_to_do(
    verb: Verb, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    info = tmp_path / "site" / "onnxruntime_gpu-1.30.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime-gpu\nVersion: 1.30.0\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    code, said, _ = verb("doctor")
    assert code == 0
    assert "both installed" in said
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in said


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder on the PYTHONPATH of the process that asks NVIDIA's driver."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    return tmp_path / "site"


def test_a_driver_that_is_too_old_is_told_with_what_to_install(
    verb: Verb, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pynvml(site, [H100 | {"DriverVersion": "550.54.14"}])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    machine = json.loads(verb("doctor", "--json")[1])
    assert machine["device"] == "x86-64 server with an NVIDIA GPU, CUDA 12"
    assert any("the driver supports CUDA 12: install NVIDIA's driver 580.65" in said for said in machine["warnings"])
    assert machine["verbs"]["eval, bench, predict by TensorRT"].startswith("not here: CUDA does not respond")


@pytest.mark.parametrize("columns", [80, 200])
def test_commands_stand_whole_on_a_line_of_their_own(
    verb: Verb, site: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    pynvml(site, [RTX_4090 | {"DriverVersion": "550.54.14"}])
    hide(monkeypatch, "onnxruntime", "cuda-bindings")
    code, said, errors = verb("doctor", columns=columns)
    assert code == 0, errors
    command = "pip install 'onnxruntime-gpu<1.27' 'tensorrt-rtx-cu12>=1.2' 'cuda-bindings>=12.6,<13'"
    assert command in [line.strip() for line in said.splitlines()]


def test_a_driver_that_does_not_answer_ends_in_a_warning(verb: Verb, site: Path) -> None:
    pynvml(site, "Driver/library version mismatch")
    code, said, _ = verb("doctor")
    assert code == 0
    assert "Driver/library version mismatch. If the driver was updated, restart the machine" in said


def test_networks_lists_every_name_that_a_recipe_may_use(tmp_path: Path) -> None:
    from sskt_edge.catalogue.backends import BACKENDS
    from sskt_edge.catalogue.data_sets import DATA_SETS
    from sskt_edge.catalogue.methods import METHODS
    from sskt_edge.catalogue.sources import SOURCES
    from sskt_edge.catalogue.targets import TARGETS

    listed = json.loads(sskt_edge("networks", "--json", cwd=tmp_path).stdout)
    assert set(listed["targets"]) == set(TARGETS)
    assert set(listed["data sets"]) == set(DATA_SETS)
    assert set(listed["methods"]) == set(METHODS)
    assert set(listed["backends"]) == set(BACKENDS)
    assert {name.partition("/")[0] for name in listed["sources"]} == set(SOURCES)
