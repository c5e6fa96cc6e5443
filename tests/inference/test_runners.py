from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from sskt_edge.bundle.manifest import PrecisionName
from sskt_edge.catalogue.backends import BACKENDS
from sskt_edge.common.errors import InputError, NetworkError
from sskt_edge.inference.backends.onnxruntime.versions import PROVIDERS
from sskt_edge.inference.runners import Runner, judge, runners_here, runners_of
from tests.bundle.tiny import SIDE, reference, tiny_onnx

CPU = Runner("onnxruntime", "cpu")
TAKES = {
    Runner(entry.name, provider.name): provider.takes
    for entry in BACKENDS.values()
    if entry.runs_files
    for provider in entry.providers
}


def test_onnx_runtime_on_the_cpu_comes_first_and_takes_every_precision() -> None:
    assert next(iter(TAKES)) == judge() == CPU
    assert set(TAKES[CPU]) == set(get_args(PrecisionName))


def test_every_runner_takes_precisions_that_there_are() -> None:
    for precisions in TAKES.values():
        assert precisions and set(precisions) <= set(get_args(PrecisionName))


def test_fp32_is_run_only_where_tf32_can_be_turned_off() -> None:
    fp32 = runners_of("fp32", tuple(TAKES))
    assert Runner("onnxruntime", "tensorrt") not in fp32
    assert Runner("onnxruntime", "tensorrt") in runners_of("fp16", tuple(TAKES))
    assert PROVIDERS["cuda"][1]["use_tf32"] == "0"
    assert [runner.provider for runner in fp32 if runner.backend == "onnxruntime"] == ["cpu", "cuda"]


def test_the_file_for_onnx_runtimes_cpu_is_for_it_alone() -> None:
    assert runners_of("int8-cpu", tuple(TAKES)) == (CPU,)


def test_what_is_here_runs_a_network() -> None:
    pytest.importorskip("onnxruntime")
    here = runners_here()
    images = np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3), dtype=np.uint8)

    assert here[0] == CPU
    for runner in here:
        session = runner.open(tiny_onnx(), (SIDE, SIDE, 3), 2, threads=1)
        assert f"{session.backend}-{session.provider}" == runner.name
        assert session.max_batch == 2
        assert np.abs(session.run(images) - reference(images)).max() < 1e-3


def test_only_the_runners_that_are_asked_for_are_given_back_and_in_order() -> None:
    openvino = Runner("openvino", "cpu")
    assert runners_of("fp32", (openvino, CPU)) == (openvino, CPU)
    assert runners_of("int8-cpu", (openvino, CPU)) == (CPU,)
    assert runners_of("int8-cpu", (openvino,)) == ()


def test_a_network_that_a_library_does_not_take_is_a_network_error() -> None:
    for runner in runners_here():
        with pytest.raises(NetworkError):
            runner.open(tiny_onnx(outputs=2), (SIDE, SIDE, 3), 2)


def test_a_provider_that_is_not_here_is_an_error_of_the_input() -> None:
    gone = [runner for runner in TAKES if runner.backend == "onnxruntime" and runner not in runners_here()]
    for runner in gone:
        with pytest.raises(InputError, match=f"'{runner.provider}' is not in this onnxruntime"):
            runner.open(tiny_onnx(), (SIDE, SIDE, 3), 2)
