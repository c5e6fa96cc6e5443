from __future__ import annotations

import pytest

from sskt_edge.common.packages import extras
from sskt_edge.doctor.machine import Machine
from sskt_edge.doctor.readiness import install_command, verbs
from sskt_edge.machine.conditions import Conditions
from tests.machine.machines import H100, RTX_4090, TRAIN, conditions_of, machine_of

ENVIRONMENT = "/usr/bin/python3 -m venv --system-site-packages edge && . edge/bin/activate"
CPU = {"onnxruntime": "1.23.2"}
BUILD, RUN, SOURCES = "export BUNDLE --trt", "eval, bench, predict by TensorRT", "sources by TensorRT"
BINDINGS_12, BINDINGS_13 = {"cuda-bindings": "12.9.10"}, {"cuda-bindings": "13.5.0"}


def test_a_bare_device_is_told_the_one_command_that_makes_it_ready() -> None:
    bare = machine_of(conditions_of())
    assert verbs(bare)["train, labels, export"] == "pip install 'sskt-edge[train,cpu]'"
    assert verbs(bare)["the quickstart recipe"] == "pip install 'sskt-edge[train,cpu,demo]'"
    assert verbs(bare)["eval, bench, predict"] == install_command(bare) == "pip install 'sskt-edge[cpu]'"
    assert verbs(bare)[BUILD] == "pip install 'sskt-edge[rtx]'"
    assert verbs(bare)[RUN] == "not here: needs an NVIDIA GPU"


def test_only_what_is_missing_is_to_be_installed() -> None:
    server = machine_of(conditions_of("x86_64", H100), {"onnxruntime-gpu": "1.31.1"})
    assert verbs(server)["train, labels, export"] == "pip install 'sskt-edge[train]'"
    assert verbs(server)["eval, bench, predict"] == "ready"
    assert install_command(server) == verbs(server)[RUN] == verbs(server)[BUILD] == "pip install 'sskt-edge[tensorrt]'"
    assert install_command(machine_of(conditions_of("x86_64", H100))) == "pip install 'sskt-edge[gpu,tensorrt]'"


def test_a_server_builds_and_runs_for_its_own_gpu() -> None:
    installed = {**TRAIN, **BINDINGS_13, "onnxruntime-gpu": "1.31.1"}
    server = machine_of(conditions_of("x86_64", H100), installed, tensorrt={"tensorrt": "11.4.0.106"}, cuda="13.0")
    assert verbs(server)[BUILD] == verbs(server)["export RUN --trt"] == "ready, for this GPU"
    assert verbs(server)[RUN] == "ready"
    assert install_command(server) == ""


def test_an_rtx_card_runs_what_is_built_ahead_of_time() -> None:
    rtx = {"tensorrt_rtx": "1.7.1.116"}
    card = machine_of(conditions_of("x86_64", RTX_4090), {**CPU, **BINDINGS_13}, tensorrt=rtx, cuda="13.0")
    assert verbs(card)[BUILD] == "ready, ahead of time for RTX cards"
    assert verbs(card)[RUN] == "ready"


def test_a_gpu_that_tensorrt_for_rtx_does_not_know_needs_the_other_one() -> None:
    rtx = {"tensorrt_rtx": "1.7.1.116"}
    server = machine_of(conditions_of("x86_64", H100), {**CPU, **BINDINGS_13}, tensorrt=rtx, cuda="13.0")
    assert verbs(server)[BUILD] == "ready, ahead of time for RTX cards"
    assert verbs(server)[RUN] == install_command(server) == "pip install 'sskt-edge[tensorrt]'"


def test_a_jetson_is_led_to_an_environment_that_sees_its_tensorrt() -> None:
    orin = conditions_of("aarch64", jetpack="6")
    command = f"{ENVIRONMENT} && pip install 'sskt-edge[cpu]' 'cuda-bindings>=12.6,<13'"
    assert install_command(machine_of(orin, CPU)) == verbs(machine_of(orin, CPU))[RUN] == command


def test_a_jetson_without_tensorrt_is_led_to_jetpack() -> None:
    seeing = machine_of(conditions_of("aarch64", jetpack="6"), CPU, system_packages=True)
    assert install_command(seeing) == "sudo apt install nvidia-jetpack && pip install 'cuda-bindings>=12.6,<13'"


def test_a_jetson_that_sees_its_tensorrt_lacks_the_bindings_alone() -> None:
    ten = {"tensorrt": "10.3.0"}
    orin = conditions_of("aarch64", jetpack="6")
    assert install_command(machine_of(orin, CPU, tensorrt=ten)) == "pip install 'cuda-bindings>=12.6,<13'"
    whole = machine_of(orin, {**CPU, **BINDINGS_12}, tensorrt=ten, cuda="12.6")
    assert install_command(whole) == ""
    assert verbs(whole)[BUILD] == "ready, for this GPU"


@pytest.mark.parametrize("verb", [BUILD, RUN])
def test_no_command_is_given_where_all_is_installed_and_cuda_is_silent(verb: str) -> None:
    installed = {**CPU, **BINDINGS_13}
    silent = machine_of(conditions_of("x86_64", H100), installed, tensorrt={"tensorrt": "11.4.0.106"})
    assert verbs(silent)[verb] == "not here: CUDA does not respond, see the warnings"
    assert install_command(silent) == ""


def test_an_arm_cpu_builds_no_engines() -> None:
    board = machine_of(conditions_of("aarch64"), CPU)
    assert verbs(board)[BUILD].startswith("not here: needs an NVIDIA GPU")
    assert install_command(board) == ""


SERVER, CARD = conditions_of("x86_64", H100), conditions_of("x86_64", RTX_4090)
ORIN, THOR = conditions_of("aarch64", jetpack="6"), conditions_of("aarch64", jetpack="7")
TEN, ELEVEN, FOR_RTX = {"tensorrt": "10.16.1.11"}, {"tensorrt": "11.4.0.106"}, {"tensorrt_rtx": "1.7.1.116"}


@pytest.mark.parametrize(
    ("conditions", "bindings", "tensorrt", "cuda"),
    [
        pytest.param(SERVER, BINDINGS_13, TEN, "13.0", id="server with TensorRT 10"),
        pytest.param(SERVER, BINDINGS_13, ELEVEN, "13.0", id="server with TensorRT 11"),
        pytest.param(CARD, BINDINGS_13, FOR_RTX, "13.0", id="RTX card"),
        pytest.param(ORIN, BINDINGS_12, {"tensorrt": "10.3.0"}, "12.6", id="JetPack 6"),
        pytest.param(THOR, BINDINGS_13, TEN, "13.0", id="JetPack 7"),
    ],
)
def test_sources_by_tensorrt_need_what_runs_an_engine_and_what_trains(
    conditions: Conditions, bindings: dict[str, str], tensorrt: dict[str, str], cuda: str
) -> None:
    runs = {**CPU, **bindings}
    whole = machine_of(conditions, {**TRAIN, **runs}, tensorrt=tensorrt, cuda=cuda)
    assert verbs(whole)[SOURCES] == "ready"
    no_training = machine_of(conditions, runs, tensorrt=tensorrt, cuda=cuda)
    assert verbs(no_training)[SOURCES] == "pip install 'sskt-edge[train]'"
    silent = machine_of(conditions, {**TRAIN, **runs}, tensorrt=tensorrt)
    assert verbs(silent)[SOURCES] == "not here: CUDA does not respond, see the warnings"


@pytest.mark.parametrize(
    ("conditions", "brings"),
    [
        pytest.param(SERVER, "pip install 'sskt-edge[tensorrt]'", id="server"),
        pytest.param(CARD, "pip install 'sskt-edge[rtx]'", id="RTX card"),
        pytest.param(ORIN, f"{ENVIRONMENT} && pip install 'sskt-edge[cpu]' 'cuda-bindings>=12.6,<13'", id="JetPack 6"),
        pytest.param(THOR, f"{ENVIRONMENT} && pip install 'sskt-edge[cpu]' 'cuda-bindings>=13,<14'", id="JetPack 7"),
        pytest.param(conditions_of(), "not here: needs an NVIDIA GPU", id="CPU"),
    ],
)
def test_sources_by_tensorrt_lack_what_engines_lack(conditions: Conditions, brings: str) -> None:
    assert verbs(machine_of(conditions, {**TRAIN, **CPU}))[SOURCES] == brings


def test_without_a_gpu_nothing_is_to_be_installed_for_sources() -> None:
    assert verbs(machine_of(conditions_of()))[SOURCES] == "not here: needs an NVIDIA GPU"


def test_a_machine_with_everything_is_ready_for_everything() -> None:
    installed = {name: "1.0" for names in extras().values() for name in names if name != "onnxruntime"}
    whole: Machine = machine_of(
        conditions_of("x86_64", RTX_4090),
        installed,
        tensorrt={"tensorrt": "10.16.1.11", "tensorrt_rtx": "1.7.1.116"},
        cuda="13.0",
    )
    assert [state for state in verbs(whole).values() if not state.startswith("ready")] == []
