from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from sskt_edge.bundle import onnx_limits
from sskt_edge.bundle.onnx_wire import refuse_untrusted
from sskt_edge.catalogue.targets import TARGETS
from sskt_edge.common.errors import WorkError
from sskt_edge.convert.lint_for_tensorrt import lint_for_tensorrt
from sskt_edge.convert.onnx_from_module import onnx_from_module
from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.inference.backends.onnxruntime.session import OnnxRuntimeSession
from sskt_edge.targets.reference import reference_logits
from tests.convert.local_paths import local_paths_in
from tests.convert.targets import CLASSES, LARGEST, PIXELS, SIDE, TOLD, Exported, network_of
from tests.methods.sskt.learners import learner_of


@pytest.fixture(scope="module")
def resnet20(exported: Exported) -> onnx.ModelProto:
    return onnx.load_from_string(exported("resnet20"))


def tensors(model: onnx.ModelProto) -> dict[str, tuple[int, tuple[int, ...], bytes]]:
    """Name → type, shape and bytes of every initializer."""
    return {
        one.name: (one.data_type, tuple(one.dims), onnx.numpy_helper.to_array(one).tobytes())
        for one in model.graph.initializer
    }


def nodes(model: onnx.ModelProto) -> list[tuple[Any, ...]]:
    """Every node with its attributes and its edges, in order."""
    return [
        (
            node.domain,
            node.op_type,
            tuple(node.input),
            tuple(node.output),
            sorted((one.name, one.SerializeToString(deterministic=True)) for one in node.attribute),
        )
        for node in model.graph.node
    ]


def shape_of(value: onnx.ValueInfoProto) -> tuple[int, list[str | int]]:
    tensor = value.type.tensor_type
    return tensor.elem_type, [side.dim_param or side.dim_value for side in tensor.shape.dim]


def test_it_takes_uint8_images_of_any_batch_and_gives_float_logits(resnet20: onnx.ModelProto) -> None:
    (images,), (logits,) = resnet20.graph.input, resnet20.graph.output

    assert (images.name, *shape_of(images)) == ("images", onnx.TensorProto.UINT8, ["batch", SIDE, SIDE, 3])
    assert (logits.name, *shape_of(logits)) == ("logits", onnx.TensorProto.FLOAT, ["batch", CLASSES])


def test_it_is_opset_18_of_ir_10_with_standard_operators_alone(resnet20: onnx.ModelProto) -> None:
    assert [(one.domain, one.version) for one in resnet20.opset_import] == [("", 18)]
    assert resnet20.ir_version == 10
    assert not resnet20.functions
    assert {node.domain for node in resnet20.graph.node} == {""}
    onnx.checker.check_model(resnet20, full_check=True)


def test_preprocessing_starts_with_the_cast_that_tensorrt_needs(resnet20: onnx.ModelProto) -> None:
    assert [node.op_type for node in resnet20.graph.node][:4] == ["Cast", "Transpose", "Mul", "Add"]


def test_all_weights_are_inside(resnet20: onnx.ModelProto, exported: Exported) -> None:
    refuse_untrusted(exported("resnet20"), "model.onnx")
    assert all(one.data_location == onnx.TensorProto.DEFAULT for one in resnet20.graph.initializer)
    assert all(not one.external_data for one in resnet20.graph.initializer)
    parameters = sum(p.numel() for name, p in network_of("resnet20").named_parameters() if ".bn" not in f".{name}")
    assert sum(onnx.numpy_helper.to_array(one).size for one in resnet20.graph.initializer) >= parameters


def test_nothing_tells_where_it_was_made(exported: Exported) -> None:
    assert local_paths_in(exported("resnet20")) == []


def test_it_carries_its_metadata_and_nothing_of_the_exporter(resnet20: onnx.ModelProto) -> None:
    assert {one.key: one.value for one in resnet20.metadata_props} == TOLD
    assert resnet20.producer_name == "sskt-edge"
    parts = [*resnet20.graph.node, *resnet20.graph.value_info, *resnet20.graph.initializer, *resnet20.graph.input]
    assert all(not part.metadata_props and not part.doc_string for part in parts)


# More of the blocks of resnet20, resnet18 and mobilenet_v3_small.
DEEPER = {"resnet32", "resnet44", "resnet56", "resnet34", "mobilenet_v3_large"}


def one_is_fast(models: Iterable[str]) -> list[Any]:
    """Parameters of which `make check` takes resnet20 alone."""
    return [model if model == "resnet20" else pytest.param(model, marks=pytest.mark.slow) for model in models]


@pytest.mark.parametrize("model", one_is_fast(name for name in TARGETS if name not in DEEPER))
def test_a_gpu_and_a_bundle_take_every_target(model: str, exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing computes where values lie, which a GPU would leave to the CPU; all is far below a bundle's limits."""
    kinds = {node.op_type for node in onnx.load_from_string(exported(model)).graph.node}
    assert not kinds & {"Shape", "Range", "Gather", "Squeeze", "Unsqueeze", "Expand"}
    assert lint_for_tensorrt(exported(model)) == []

    for name in ("VALUES_OF_A_TENSOR", "VALUES", "PRODUCTS"):
        monkeypatch.setattr(onnx_limits, name, getattr(onnx_limits, name) // 4)
    onnx_limits.refuse_costly(exported(model), LARGEST, (SIDE, SIDE, 3), "model.onnx")


@pytest.mark.parametrize("model", one_is_fast(name for name in TARGETS if name not in DEEPER))
def test_onnx_runtime_answers_as_torch_does_at_every_batch(model: str, exported: Exported) -> None:
    images = np.random.default_rng(3).integers(0, 256, (LARGEST, SIDE, SIDE, 3), dtype=np.uint8)
    expected = reference_logits(network_of(model), PIXELS, images)
    with torch.no_grad():
        planes = PIXELS(torch.from_numpy(images)).double()
        exact = network_of(model).double()(planes.contiguous()).numpy()
    session = OnnxRuntimeSession(exported(model), (SIDE, SIDE, 3), LARGEST, provider="cpu", threads=1)
    assert np.ptp(expected, axis=0).min() > 1e-2, "the images must not all get the same logits"
    # Squeeze-and-excitation leaves a BatchNorm here so little variance that torch's own rounding shows.
    rounding = float(np.abs(expected - exact).max())
    tolerance = max(5e-5 * max(2.0, float(np.abs(expected).max())), 3 * rounding)

    for batch in (1, 3, LARGEST):
        logits = np.concatenate([session.run(images[start : start + batch]) for start in range(0, LARGEST, batch)])
        assert np.abs(logits - expected).max() <= tolerance, batch


def test_a_stripped_network_equals_one_without_branches_node_for_node(exported: Exported) -> None:
    network = network_of("resnet20")
    start = {key: value.clone() for key, value in network.state_dict().items()}
    branched = learner_of(network, "resnet20", {"imagenet": 7, "places": 3}).train()
    optimizer = torch.optim.SGD(branched.parameters(), lr=0.1)
    outputs = branched(torch.rand(4, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)))
    (outputs.primary.square().mean() + sum(one.square().mean() for one in outputs.branches.values())).backward()
    optimizer.step()
    assert not all(torch.equal(value, start[key]) for key, value in network.state_dict().items())
    network.load_state_dict(start)  # it has trained with its branches; now the weights are again those of the other

    stripped = onnx.load_from_string(onnx_from_module(branched.strip().eval(), PIXELS, (SIDE, SIDE, 3), LARGEST, TOLD))

    never = onnx.load_from_string(exported("resnet20"))
    assert nodes(stripped) == nodes(never)
    assert tensors(stripped) == tensors(never)
    assert list(stripped.graph.input) == list(never.graph.input)
    assert list(stripped.graph.output) == list(never.graph.output)


def tiny() -> nn.Module:
    layers = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    return layers.append(nn.Flatten()).append(nn.Linear(4, CLASSES)).eval()


def test_a_largest_batch_of_one_can_be_exported() -> None:
    content = onnx_from_module(tiny(), Pixels(16), (16, 16, 3), 1, {})

    logits = OnnxRuntimeSession(content, (16, 16, 3), 1, provider="cpu").run(np.zeros((1, 16, 16, 3), dtype=np.uint8))
    assert logits.shape == (1, CLASSES)


def test_exporting_is_silent_and_leaves_network_and_loggers_alone(capfd: pytest.CaptureFixture[str]) -> None:
    network = tiny()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    levels = {name: logging.getLogger(name).level for name in ("torch.onnx", "onnxscript", "onnx_ir")}

    onnx_from_module(network, Pixels(16), (16, 16, 3), LARGEST, TOLD)

    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
    assert levels == {name: logging.getLogger(name).level for name in levels}
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_an_operation_that_the_exporter_cannot_write_is_named() -> None:
    class Odd(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = torch.special.airy_ai(images.flatten(1)[:, :CLASSES])
            return logits

    torch_version = re.escape(torch.__version__.partition("+")[0])
    said = f"torch {torch_version} cannot write 'aten.special_airy_ai' as ONNX.*without it"
    with pytest.raises(WorkError, match=said):
        onnx_from_module(Odd().eval(), Pixels(16), (16, 16, 3), LARGEST, TOLD)


def test_any_other_failure_is_one_message_with_the_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    def export(*_: object, **__: object) -> None:
        try:
            raise AttributeError("module 'onnxscript' has no attribute 'ir'")
        except AttributeError as error:
            raise RuntimeError("Failed to convert the exported program. Step 3/3") from error

    monkeypatch.setattr(torch.onnx, "export", export)
    said = f"AttributeError: .* no attribute 'ir'.*torch {re.escape(torch.__version__.partition('+')[0])}.*onnxscript"
    with pytest.raises(WorkError, match=said):
        onnx_from_module(nn.Flatten().eval(), Pixels(16), (16, 16, 3), LARGEST, TOLD)
