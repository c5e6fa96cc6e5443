from __future__ import annotations

import os
import struct
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from sskt_edge.common.errors import BundleError, DataError, InputError, MissingExtraError, NetworkError, WorkError
from sskt_edge.inference.backends.onnxruntime import session as backend
from sskt_edge.inference.backends.onnxruntime.session import OnnxRuntimeSession
from sskt_edge.inference.backends.onnxruntime.versions import PROVIDERS
from tests.bundle.tiny import SIDE, WEIGHT, reference, tiny_model, tiny_onnx

onnxruntime = pytest.importorskip("onnxruntime")
HAS_CUDA = "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def open_tiny(
    content: bytes | None = None, *, provider: str = "cpu", max_batch: int = 4, fixed_batch: bool = False
) -> OnnxRuntimeSession:
    content = tiny_onnx() if content is None else content
    return OnnxRuntimeSession(
        content, (SIDE, SIDE, 3), max_batch, provider=provider, threads=1, fixed_batch=fixed_batch
    )


def images(count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.mark.parametrize("fixed_batch", [False, True])
@pytest.mark.parametrize("count", [1, 3, 4, 5, 8, 9])
def test_any_batch_gives_the_logits_of_the_network(count: int, fixed_batch: bool) -> None:
    logits = open_tiny(fixed_batch=fixed_batch).run(images(count))
    assert logits.dtype == np.float32
    assert np.abs(logits - reference(images(count))).max() < 1e-5


def test_images_that_do_not_lie_in_a_row_are_read_right() -> None:
    mirrored = images(3)[:, :, ::-1]
    assert np.abs(open_tiny().run(mirrored) - reference(mirrored)).max() < 1e-5


def test_a_session_says_what_runs_it() -> None:
    session = open_tiny()
    assert (session.backend, session.provider, session.precision) == ("onnxruntime", "cpu", "fp32")
    assert session.versions == {"onnxruntime": onnxruntime.__version__}
    assert session.max_batch == 4


def test_auto_takes_a_provider_that_runs() -> None:
    session = open_tiny(provider="auto")
    assert session.provider in ("cpu", "cuda")
    assert np.abs(session.run(images(2)) - reference(images(2))).max() < 1e-4


@pytest.mark.parametrize(
    "wrong",
    [
        images(2).astype(np.float32),
        images(2)[0],
        images(2).transpose(0, 3, 1, 2),
        np.zeros((1, SIDE, SIDE + 1, 3), np.uint8),
        images(2)[:0],
    ],
    ids=["float", "one image", "NCHW", "wider", "none"],
)
def test_images_of_another_form_are_refused(wrong: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
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
def test_a_network_of_another_form_is_refused(content: object) -> None:
    assert callable(content)
    with pytest.raises(NetworkError, match=r"expected one input uint8 \[N,8,8,3\] and one output"):
        open_tiny(content())


@pytest.mark.parametrize("content", [b"", b"\x08\x0a"], ids=["empty", "no graph"])
def test_what_onnxruntime_does_not_take_is_one_line(content: bytes) -> None:
    with pytest.raises(NetworkError, match=r"ONNX Runtime does not support the network: .") as caught:
        open_tiny(content)
    assert "\n" not in str(caught.value)


def test_a_failing_run_is_one_line() -> None:
    onnx = pytest.importorskip("onnx")
    model = tiny_model()
    model.graph.node[2].output[0] = "three"
    model.graph.node.append(onnx.helper.make_node("Gather", ["three", "beyond"], ["logits"], axis=1))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0, 1, 9]), "beyond"))
    session = open_tiny(model.SerializeToString())
    with pytest.raises(WorkError, match=r"ONNX Runtime failed on 2 images: .*9") as caught:
        session.run(images(2))
    assert "\n" not in str(caught.value)


def test_an_unknown_provider_lists_those_known() -> None:
    with pytest.raises(InputError, match=r"Unknown provider 'tpu'\. Known: auto, cpu, cuda, tensorrt"):
        open_tiny(provider="tpu")


@pytest.mark.skipif(HAS_CUDA, reason="this onnxruntime has CUDA")
def test_an_absent_provider_lists_those_present() -> None:
    with pytest.raises(MissingExtraError, match=r"available: .*CPUExecutionProvider.*sskt-edge\[gpu\]"):
        open_tiny(provider="cuda")


@pytest.fixture
def gpu_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this ONNX Runtime had been built for a GPU: what it is then asked for does not start."""
    every = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: every)


@pytest.mark.skipif(HAS_CUDA, reason="this onnxruntime has CUDA")
def test_a_provider_that_does_not_start_is_no_silent_cpu(gpu_providers: None) -> None:
    for provider in ("tensorrt", "cuda"):
        with (
            pytest.warns(UserWarning, match="not in available provider names"),
            pytest.raises(InputError, match=rf"'{provider}' is installed but does not start .* CPUExecutionProvider"),
        ):
            open_tiny(provider=provider)


@pytest.mark.skipif(HAS_CUDA, reason="this onnxruntime has CUDA")
def test_auto_goes_on_with_the_cpu_where_cuda_does_not_start(gpu_providers: None) -> None:
    with pytest.warns(UserWarning, match="not in available provider names"):
        session = open_tiny(provider="auto")
    assert session.provider == "cpu"
    assert np.abs(session.run(images(2)) - reference(images(2))).max() < 1e-5


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_gpu_leaves_nothing_to_the_cpu(provider: str) -> None:
    lists = backend.PROVIDER_LISTS[provider]
    assert lists[0] == {"cuda": ("cuda",), "tensorrt": ("tensorrt", "cuda")}[provider]
    with (
        pytest.warns(UserWarning, match="not in available provider names") if not HAS_CUDA else nullcontext(),
        pytest.raises(NetworkError, match=backend.LEFT_TO_CPU),
    ):
        # No GPU takes this one: a text is nothing for it.
        backend.open_on(onnxruntime, of_text(), 1, lists[0])


def of_text() -> bytes:
    """A network with a node that the CPU alone takes."""
    onnx = pytest.importorskip("onnx")
    model = tiny_model()
    types, node = onnx.TensorProto, onnx.helper.make_node
    model.graph.node[2].output[0] = "number"
    model.graph.node.append(node("Cast", ["number"], ["text"], to=types.STRING))
    model.graph.node.append(node("Cast", ["text"], ["logits"], to=types.FLOAT))
    content: bytes = model.SerializeToString()
    return content


def test_what_is_left_to_the_cpu_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a provider that starts and takes nothing, which stands in for CUDA."""
    if "AzureExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has no such provider")
    monkeypatch.setitem(PROVIDERS, "cuda", ("AzureExecutionProvider", {}))
    with pytest.raises(NetworkError, match=r"Provider 'cuda' would leave a part of the network to the CPU: Cast, "):
        open_tiny(provider="cuda")
    session = open_tiny(provider="auto")
    assert np.abs(session.run(images(2)) - reference(images(2))).max() < 1e-5


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'sskt-edge\[cpu\]'"):
        open_tiny()


def with_external_weight(folder: Path) -> bytes:
    """A network whose weight lies in a file of `folder`."""
    model = tiny_model()
    (folder / "weight.data").write_bytes(WEIGHT.tobytes())
    weight = model.graph.initializer[1]
    weight.ClearField("raw_data")
    weight.data_location = 1
    for key, value in {"location": "weight.data", "offset": "0", "length": str(WEIGHT.nbytes)}.items():
        weight.external_data.add(key=key, value=value)
    content: bytes = model.SerializeToString()
    return content


def test_external_data_is_refused_though_onnxruntime_would_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content = with_external_weight(tmp_path)
    onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    with pytest.raises(BundleError, match="tensor 'weight' has its data outside"):
        open_tiny(content)


def test_bytes_are_never_read_as_onnxruntimes_own_format() -> None:
    """Bytes 4 to 8 mark that format; this is a protobuf message too, with them inside a text."""
    body = b"??ORTM" + b"\0" * 40
    with pytest.raises(NetworkError, match="does not support the network") as caught:
        open_tiny(b"\x32" + struct.pack("B", len(body)) + body)
    assert "ORT model" not in str(caught.value)


STARTED = """
import os, sys
from sskt_edge.inference.backends.onnxruntime.session import OnnxRuntimeSession
from tests.bundle.tiny import SIDE, tiny_onnx

os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
before = set(os.listdir("/proc/self/task"))
session = OnnxRuntimeSession(tiny_onnx(), (SIDE, SIDE, 3), 1, provider="cpu")
print(len(set(os.listdir("/proc/self/task")) - before))
"""


@pytest.mark.skipif(sys.platform != "linux" or os.cpu_count() == 1, reason="threads are counted by /proc")
def test_a_process_on_one_core_starts_no_further_thread() -> None:
    root = Path(__file__).parents[4]
    done = subprocess.run([sys.executable, "-c", STARTED], cwd=root, capture_output=True, text=True, check=False)
    assert done.stdout == "0\n", done.stderr
