from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from sskt_edge.common.errors import BundleError, CheckpointError, NetworkError, RecipeError
from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.recipe.models import SourceOptions
from sskt_edge.sources.engines import ENGINES
from sskt_edge.sources.from_onnx import OnnxSource
from sskt_edge.sources.zoo import open_source
from tests.sources.small import CPU, answers, images

MEAN, STD = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
KERNEL = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
Shape = list[int | str]


def write(
    path: Path,
    *,
    kind: str = "FLOAT",
    shape: Shape | None = None,
    opset: int = 18,
    ir: int = 10,
    extra: bool = False,
    declared: Shape | None = None,
) -> str:
    """A convolution, ReLU and the mean over all pixels, with a constant shape in a Reshape as exporters leave it."""
    shape = shape or ["B", 3, 12, 12]
    steps = []
    if kind == "UINT8":
        steps = [helper.make_node("Cast", ["in"], ["wide"], to=TensorProto.FLOAT)]
        steps += [helper.make_node("Transpose", ["wide"], ["planes"], perm=[0, 3, 1, 2])]
    batch = shape[0] if isinstance(shape[0], int) else -1
    steps += [
        helper.make_node("Conv", ["planes" if kind == "UINT8" else "in", "kernel"], ["features"]),
        helper.make_node("Relu", ["features"], ["positive"]),
        helper.make_node("GlobalAveragePool", ["positive"], ["pooled"]),
        helper.make_node("Reshape", ["pooled", "flat"], ["logits"]),
    ]
    constants = {"kernel": KERNEL, "flat": np.array([batch, 4])}
    inputs = [helper.make_tensor_value_info("in", getattr(TensorProto, kind), shape)]
    if ir < 4:
        inputs += [helper.make_tensor_value_info("kernel", TensorProto.FLOAT, KERNEL.shape)]
        inputs += [helper.make_tensor_value_info("flat", TensorProto.INT64, [2])]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, declared or [shape[0], 4])]
    if extra:
        outputs += [helper.make_tensor_value_info("positive", TensorProto.FLOAT, [shape[0], 4, None, None])]
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(steps, "small", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
    path.write_bytes(model.SerializeToString())
    return f"onnx/{path}"


def expected(shots: NDArray[np.uint8], size: int = 12, mean: Any = MEAN, std: Any = STD) -> NDArray[np.float32]:
    """The same in torch, after Pixels."""
    features = torch.nn.functional.conv2d(Pixels(size, mean, std)(torch.from_numpy(shots)), torch.from_numpy(KERNEL))
    answer: NDArray[np.float32] = features.relu().mean((2, 3)).numpy()
    return answer


def opened(model: str, **keys: Any) -> OnnxSource:
    source = open_source(SourceOptions(name="s", model=model, **keys), CPU)
    assert isinstance(source, OnnxSource)
    return source


def of_floats(model: str, **keys: Any) -> OnnxSource:
    return opened(model, **{"mean": MEAN, "std": STD, **keys})


@pytest.mark.parametrize("side", [12, 5, 7, 31, 96])
def test_a_float_network_answers_as_torch_does_after_pixels(tmp_path: Path, side: int) -> None:
    source = of_floats(write(tmp_path / "n.onnx"))
    assert (source.classes, source.input_size) == (4, 12)
    answer = answers(source, images(3, side))
    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer, expected(images(3, side)), rtol=1e-4, atol=1e-4)


def test_a_network_of_bytes_is_used_as_it_is(tmp_path: Path) -> None:
    source = opened(write(tmp_path / "n.onnx", kind="UINT8", shape=["B", 12, 12, 3]))
    raw = expected(images(3, 12), mean=(0, 0, 0), std=(1 / 255,) * 3)
    np.testing.assert_allclose(answers(source, images(3, 12)), raw, rtol=1e-4, atol=1e-3)


def test_a_network_of_bytes_gets_resized_bytes(tmp_path: Path) -> None:
    source = opened(write(tmp_path / "n.onnx", kind="UINT8", shape=["B", 12, 12, 3]))
    planes = torch.from_numpy(images(3, 20)).permute(0, 3, 1, 2).float()
    planes = torch.nn.functional.interpolate(planes, size=(12, 12), mode="bilinear", align_corners=False)
    resized = planes.round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(answers(source, images(3, 20)), answers(source, resized), rtol=0.01, atol=0.1)


@pytest.mark.parametrize("kind", ["FLOAT", "UINT8"])
@pytest.mark.parametrize("number", [1, 4, 6])
def test_a_fixed_batch_takes_any_number_of_images(tmp_path: Path, kind: str, number: int) -> None:
    shots = images(number, 12)
    if kind == "FLOAT":
        source, logits = of_floats(write(tmp_path / "n.onnx", shape=[4, 3, 12, 12])), expected(shots)
    else:
        source = opened(write(tmp_path / "n.onnx", kind=kind, shape=[4, 12, 12, 3]))
        logits = expected(shots, mean=(0, 0, 0), std=(1 / 255,) * 3)
    np.testing.assert_allclose(answers(source, shots), logits, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("side", [12, 20])
@pytest.mark.parametrize(
    "network",
    [
        {},
        {"kind": "UINT8", "shape": ["B", 12, 12, 3]},
        {"shape": [4, 3, 12, 12]},
        {"kind": "UINT8", "shape": [4, 12, 12, 3]},
        {"extra": True},
        {"opset": 13, "ir": 3},
        {"shape": ["B", 3, "H", "W"]},
    ],
    ids=["floats", "bytes", "fixed batch", "bytes, fixed batch", "two outputs", "old", "any size"],
)
def test_every_engine_answers_as_onnxruntime_does(tmp_path: Path, network: dict[str, Any], side: int) -> None:
    model = write(tmp_path / "n.onnx", **network)
    source = opened(model) if "kind" in network else of_floats(model, input_size=12)
    expected, others = answers(source, images(6, side)), source.engines()[1:]
    assert source.engines()[0].name == "onnxruntime-fp32"
    assert all(engine.backend == "openvino" for engine in others)
    scale = np.abs(expected).max()
    for engine in others:
        near = 1e-5 if engine.precision == "fp32" else 0.02
        assert np.abs(answers(source, images(6, side), engine) - expected).max() < near * scale


def test_torch_does_not_run_a_file(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="'s' is an ONNX file, which torch does not run"):
        answers(of_floats(write(tmp_path / "n.onnx")), images(2, 12), ENGINES["torch-fp32"])


def test_of_several_outputs_the_first_counts(tmp_path: Path) -> None:
    source = of_floats(write(tmp_path / "n.onnx", extra=True))
    np.testing.assert_allclose(answers(source, images(2, 12)), expected(images(2, 12)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("opset", "ir"), [(9, 3), (13, 7), (21, 10)])
def test_files_of_all_ages_are_taken(tmp_path: Path, opset: int, ir: int) -> None:
    source = of_floats(write(tmp_path / "n.onnx", opset=opset, ir=ir))
    np.testing.assert_allclose(answers(source, images(2, 12)), expected(images(2, 12)), rtol=1e-4, atol=1e-4)


def test_a_file_too_old_to_resize_in_says_so(tmp_path: Path) -> None:
    source = of_floats(write(tmp_path / "n.onnx", opset=9, ir=3))
    with pytest.raises(NetworkError, match=r"opset 9, .*from 20 to 12 .*needs opset 13.*native"):
        answers(source, images(2, 20))


def test_a_network_of_any_size_needs_the_recipes(tmp_path: Path) -> None:
    model = write(tmp_path / "n.onnx", shape=["B", 3, "H", "W"])
    with pytest.raises(RecipeError, match=r"sources\.s\.input_size is required"):
        of_floats(model)
    source = of_floats(model, input_size=16)
    assert source.input_size == 16
    np.testing.assert_allclose(answers(source, images(2, 9)), expected(images(2, 9), 16), rtol=1e-4, atol=1e-4)


def test_the_identity_is_of_the_file_and_its_preprocessing(tmp_path: Path) -> None:
    one, same = write(tmp_path / "one.onnx"), write(tmp_path / "same.onnx")
    other = write(tmp_path / "other.onnx", opset=17)
    assert of_floats(one).identity == of_floats(same).identity
    assert of_floats(one).facts == of_floats(same).facts
    assert of_floats(one).facts["model"] == "onnx"
    identities = {of_floats(one).identity, of_floats(other).identity, of_floats(one, mean=(0.5,) * 3).identity}
    assert len(identities) == 3


@pytest.mark.parametrize("lacking", ["mean", "std"])
def test_floats_need_mean_and_std(tmp_path: Path, lacking: str) -> None:
    with pytest.raises(RecipeError, match=r"sources\.s: .*Set mean and std"):
        of_floats(write(tmp_path / "n.onnx"), **{lacking: None})


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"input_size": 24}, "input_size = 24, but the ONNX file takes 12"),
        ({"batchnorm": "recalibrated"}, "an ONNX file is frozen"),
        ({"checkpoint": "w.pth"}, "has its own weights"),
    ],
)
def test_keys_that_an_onnx_file_does_not_serve_are_refused(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        of_floats(write(tmp_path / "n.onnx"), **keys)


def test_mean_and_std_of_a_network_of_bytes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="normalises by itself"):
        of_floats(write(tmp_path / "n.onnx", kind="UINT8", shape=["B", 12, 12, 3]))


def test_other_classes_than_the_recipe_says_name_both_numbers(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"sources\.s\.classes = 5, .* has 4 classes"):
        of_floats(write(tmp_path / "n.onnx"), classes=5)


@pytest.mark.parametrize(
    "network",
    [
        {"kind": "FLOAT16"},
        {"shape": ["B", 1, 12, 12]},
        {"shape": ["B", 3, 12, 16]},
        {"shape": ["B", 12, 12, 3]},
        {"declared": ["B", 4, 1]},
    ],
)
def test_another_form_is_refused_and_named(tmp_path: Path, network: dict[str, Any]) -> None:
    with pytest.raises(NetworkError, match=r"got in: \w+ \[.*expected one input, uint8 \[B,S,S,3\] or float"):
        of_floats(write(tmp_path / "n.onnx", **network))


@pytest.mark.parametrize("kind", ["FLOAT", "UINT8"])
@pytest.mark.parametrize(
    ("batch", "side", "said"),
    [
        ("B", 60_000, "side 60000 and batch any"),
        (2**40, "S", "side any and batch 1099511627776"),
        (1025, 8, "side 8 and batch 1025"),
        ("B", 4097, "side 4097 and batch any"),
        (1024, 4096, "side 4096 and batch 1024"),
    ],
)
def test_an_input_that_would_take_all_of_the_memory_is_refused(
    tmp_path: Path, kind: str, batch: int | str, side: int | str, said: str
) -> None:
    shape: Shape = [batch, 3, side, side] if kind == "FLOAT" else [batch, side, side, 3]
    model = write(tmp_path / "n.onnx", kind=kind, shape=shape)
    with pytest.raises(NetworkError, match=rf"n\.onnx': its input has {said}; expected a side of at most 4096"):
        of_floats(model)


def test_an_input_of_an_unknown_type_is_refused_and_named(tmp_path: Path) -> None:
    path = Path(write(tmp_path / "n.onnx").removeprefix("onnx/"))
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.elem_type = 99
    path.write_bytes(model.SerializeToString())
    with pytest.raises(NetworkError, match=r"got in: type 99 \[\?,3,12,12\]; .*expected one input"):
        of_floats(f"onnx/{path}")


def test_external_data_is_refused(tmp_path: Path) -> None:
    model = onnx.load(write(tmp_path / "n.onnx").removeprefix("onnx/"))
    (tmp_path / "n.onnx").unlink()
    onnx.save(model, tmp_path / "n.onnx", save_as_external_data=True, location="n.data", size_threshold=0)
    with pytest.raises(BundleError, match="outside"):
        of_floats(f"onnx/{tmp_path}/n.onnx")


def test_broken_and_missing_files_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "n.onnx")
    (tmp_path / "n.onnx").write_bytes((tmp_path / "n.onnx").read_bytes()[:-20])
    with pytest.raises((BundleError, CheckpointError), match="complete ONNX"):
        of_floats(f"onnx/{tmp_path}/n.onnx")
    with pytest.raises(CheckpointError, match="No ONNX file"):
        of_floats(f"onnx/{tmp_path}/none.onnx")
    (tmp_path / "n.onnx").write_bytes(bytes([0x3A, 5, 0x2A, 3, 0x0A, 1, 0x80]))  # a tensor whose shape breaks off
    with pytest.raises(CheckpointError, match="complete ONNX"):
        of_floats(f"onnx/{tmp_path}/n.onnx")
