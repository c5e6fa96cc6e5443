from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sskt_edge.bundle.onnx_wire import refuse_untrusted
from sskt_edge.common.errors import BundleError
from tests.bundle.tiny import tiny_model, tiny_onnx

onnx = pytest.importorskip("onnx")

Place = Callable[[Any, Any], Any]


def attribute(model: Any) -> Any:
    return model.graph.node[0].attribute.add(name="extra")


# Each puts the tensor into a model at another place.
PLACES: dict[str, Place] = {
    "initializer": lambda m, t: m.graph.initializer.append(t),
    "sparse initializer values": lambda m, t: m.graph.sparse_initializer.add().values.CopyFrom(t),
    "sparse initializer indices": lambda m, t: m.graph.sparse_initializer.add().indices.CopyFrom(t),
    "attribute t": lambda m, t: attribute(m).t.CopyFrom(t),
    "attribute tensors": lambda m, t: attribute(m).tensors.append(t),
    "attribute sparse_tensor": lambda m, t: attribute(m).sparse_tensor.values.CopyFrom(t),
    "attribute sparse_tensors": lambda m, t: attribute(m).sparse_tensors.add().indices.CopyFrom(t),
    "subgraph": lambda m, t: attribute(m).g.initializer.append(t),
    "subgraphs": lambda m, t: attribute(m).graphs.add().initializer.append(t),
    "subgraph of a subgraph": lambda m, t: (
        attribute(m).g.node.add().attribute.add().graphs.add().node.add().attribute.add().t.CopyFrom(t)
    ),
    "function": lambda m, t: m.functions.add().node.add().attribute.add().t.CopyFrom(t),
    "function attribute default": lambda m, t: m.functions.add().attribute_proto.add().t.CopyFrom(t),
    "training initialization": lambda m, t: m.training_info.add().initialization.initializer.append(t),
    "training algorithm": lambda m, t: m.training_info.add().algorithm.initializer.append(t),
}


def tensor(*, location: int | None = None, entry: bool = False) -> Any:
    it = onnx.numpy_helper.from_array(np.zeros(2, dtype=np.float32), "secret")
    if location is not None:
        it.data_location = location
    if entry:
        it.external_data.add(key="location", value="weights.data")
    return it


# Each gives a new node, at another place of a model.
NODES: dict[str, Callable[[Any], Any]] = {
    "graph": lambda m: m.graph.node.add(),
    "subgraph": lambda m: attribute(m).g.node.add(),
    "subgraphs": lambda m: attribute(m).graphs.add().node.add(),
    "subgraph of a subgraph": lambda m: attribute(m).g.node.add().attribute.add().graphs.add().node.add(),
    "function": lambda m: m.functions.add().node.add(),
    "function attribute default": lambda m: m.functions.add().attribute_proto.add().g.node.add(),
    "training initialization": lambda m: m.training_info.add().initialization.node.add(),
    "training algorithm": lambda m: m.training_info.add().algorithm.node.add(),
}


def model_with(place: str, it: Any) -> bytes:
    model = tiny_model()
    PLACES[place](model, it)
    content: bytes = model.SerializeToString()
    return content


@pytest.mark.parametrize("place", PLACES)
def test_external_data_is_refused_wherever_it_stands(place: str) -> None:
    external = onnx.TensorProto.EXTERNAL
    for it in (tensor(location=external, entry=True), tensor(location=external), tensor(entry=True)):
        with pytest.raises(BundleError, match=r"'m\.onnx': tensor 'secret' has its data outside"):
            refuse_untrusted(model_with(place, it), "m.onnx")


@pytest.mark.parametrize("place", PLACES)
def test_inline_data_passes_wherever_it_stands(place: str) -> None:
    refuse_untrusted(model_with(place, tensor()), "m.onnx")
    refuse_untrusted(model_with(place, tensor(location=onnx.TensorProto.DEFAULT)), "m.onnx")


@pytest.mark.parametrize("domain", ["com.microsoft", "", "other"])
@pytest.mark.parametrize("place", NODES)
def test_a_compiled_engine_is_refused_wherever_its_node_stands(place: str, domain: str) -> None:
    model = tiny_model()
    node = NODES[place](model)
    node.op_type, node.domain = "EPContext", domain
    with pytest.raises(BundleError, match=r"'m\.onnx': a node carries a compiled engine.*Export the network again"):
        refuse_untrusted(model.SerializeToString(), "m.onnx")


def test_only_the_kind_of_a_node_makes_it_an_engine() -> None:
    model = tiny_model()
    model.graph.node.add(op_type="EPContexts", name="EPContext", domain="EPContext", doc_string="EPContext")
    refuse_untrusted(model.SerializeToString(), "m.onnx")


def test_a_node_of_two_kinds_is_an_engine_if_one_of_them_is() -> None:
    for kinds in ((b"EPContext", b"Relu"), (b"Relu", b"EPContext")):
        with pytest.raises(BundleError, match="compiled engine"):
            refuse_untrusted(field(7, field(1, b"".join(field(4, kind) for kind in kinds))), "m.onnx")


def test_every_message_and_field_that_leads_to_a_tensor_is_known() -> None:
    """If a later onnx.proto finds another way to a tensor, this fails."""
    from sskt_edge.bundle.onnx_wire import INSIDE

    def leads(message: Any, seen: frozenset[str]) -> bool:
        return message.name == "TensorProto" or any(
            leads(field.message_type, seen | {message.name})
            for field in message.fields
            if field.message_type is not None and field.message_type.name not in seen | {message.name}
        )

    kinds = {name: getattr(onnx, name).DESCRIPTOR for name in INSIDE if name != "TensorProto"}
    for name, kind in kinds.items():
        found = {
            field.number: field.message_type.name
            for field in kind.fields
            if field.message_type is not None and leads(field.message_type, frozenset())
        }
        assert found == INSIDE[name]


def test_a_file_cut_anywhere_is_refused_or_external_free() -> None:
    content = tiny_onnx()
    whole = []
    for end in range(len(content)):
        try:
            refuse_untrusted(content[:end], "cut")
        except BundleError as error:
            assert "not a complete ONNX file" in str(error)
        else:
            whole.append(end)
    # Only cuts between the fields of the outermost message can look whole.
    assert len(whole) <= 5


def test_whatever_onnx_reads_as_external_is_refused() -> None:
    """The same bytes, changed at random, read by protobuf itself and by the wire reader."""
    content = bytearray(model_with("subgraph", tensor(location=onnx.TensorProto.EXTERNAL, entry=True)))
    random = np.random.default_rng(0)
    read = 0
    for _ in range(2000):
        changed = bytearray(content)
        for place in random.integers(0, len(content), 2):
            changed[place] = random.integers(0, 256)
        try:
            model = onnx.load_model_from_string(bytes(changed))
        except Exception:
            continue
        tensors = [t for n in model.graph.node for a in n.attribute for t in (*a.g.initializer, *a.tensors, a.t)]
        if any(t.data_location == 1 or t.external_data for t in (*model.graph.initializer, *tensors)):
            read += 1
            with pytest.raises(BundleError):
                refuse_untrusted(bytes(changed), "changed")
    assert read > 100


def field(number: int, body: bytes) -> bytes:
    size = len(body)
    length = b""
    while size >= 128:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + body


def nested(graphs: int) -> bytes:
    graph = b""
    for _ in range(graphs):
        graph = field(1, field(5, field(6, graph)))
    return field(7, graph)


def test_deep_nesting_is_refused_without_recursing_into_it() -> None:
    refuse_untrusted(nested(30), "m.onnx")
    for deep in (40, 20_000):
        with pytest.raises(BundleError, match="nested"):
            refuse_untrusted(nested(deep), "m.onnx")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\x0b\x0c", id="group"),
        pytest.param(b"\x00\x00", id="field number zero"),
        pytest.param(b"\x3a\xff\xff\xff\xff\x0f", id="length beyond the end"),
        pytest.param(b"\x08" + b"\xff" * 11, id="endless number"),
        pytest.param(b"\x08", id="no value"),
        pytest.param(b"\x0d\x00", id="cut fixed-size number"),
        pytest.param(b"\x80\x80\x80\x80\x10\x00", id="field number out of range"),
    ],
)
def test_a_broken_wire_format_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match="not a complete ONNX file"):
        refuse_untrusted(content, "m.onnx")


def test_a_memoryview_is_read_as_bytes_are() -> None:
    refuse_untrusted(memoryview(tiny_onnx()), "m.onnx")
