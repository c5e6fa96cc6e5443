"""Read an ONNX file's wire format, without a runtime or onnx, to refuse what a runtime would trust without asking.

A runtime that opens a model from bytes still reads external data from the current folder, or from wherever the model
says; and a compiled engine inside a node is run as it is. So each tensor and each node is checked first. A field is
descended into if any parser could take it for a message. Anything that parsers might read differently (groups, numbers
out of range, a broken length) is refused.
"""

from __future__ import annotations

from collections.abc import Iterator

from sskt_edge.common.errors import BundleError

# onnx.proto: in each message, the fields that hold messages on the way to a TensorProto.
INSIDE: dict[str, dict[int, str]] = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto",
        6: "GraphProto",
        10: "TensorProto",
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
    "TensorProto": {},
}
_TENSOR_NAME, _EXTERNAL_DATA, _DATA_LOCATION = 8, 13, 14
_OP_TYPE = 4
_ENGINE = memoryview(b"EPContext")  # the node in which ONNX Runtime keeps a compiled engine, or the name of its file
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_DEPTH = 100  # protobuf's own


class BrokenError(Exception):
    """The wire format is not valid."""


class _UntrustedError(Exception):
    """The file contains something that is not trusted."""


def refuse_untrusted(content: bytes | memoryview, where: str) -> None:
    """Check that every tensor of an ONNX file has its data inside the file, and that no node carries a compiled engine.

    Args:
        content: the whole file.
        where: the file's name, for messages.

    Raises:
        BundleError: a tensor names external data, a node carries an engine, or this is not a complete ONNX file.
    """
    try:
        _walk(memoryview(content).cast("B"), "ModelProto", _MAX_DEPTH)
    except BrokenError as error:
        raise BundleError(f"'{where}' is not a complete ONNX file: {error}. Copy or export it again.") from error
    except _UntrustedError as error:
        raise BundleError(f"'{where}': {error}") from error


def _walk(message: memoryview, kind: str, depth: int) -> None:
    """Check a message of `kind` and everything inside it."""
    if depth == 0:
        raise BrokenError(f"messages are nested more than {_MAX_DEPTH} deep")
    name, external = "", False
    for number, value in fields(message):
        inner = INSIDE[kind].get(number)
        if inner is not None and isinstance(value, memoryview):
            _walk(value, inner, depth - 1)
        elif kind == "NodeProto":
            if number == _OP_TYPE and value == _ENGINE:
                raise _UntrustedError(
                    "a node carries a compiled engine (EPContext), which is not trusted. "
                    "Export the network again with ONNX operators only."
                )
        elif kind == "TensorProto":
            external |= number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0)
            if number == _TENSOR_NAME and isinstance(value, memoryview):
                name = bytes(value[:200]).decode(errors="replace")
    if external:
        raise _UntrustedError(
            f"tensor '{name}' has its data outside the file, which is not trusted. "
            "Save the model with its weights inline."
        )


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview | None]]:
    """The number and the value of each field: an int, the bytes, or None for a fixed-size number."""
    at, end = 0, len(message)
    while at < end:
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise BrokenError(f"field number {number}")
        value: int | memoryview | None = None
        if wire == _VARINT:
            value, at = _varint(message, at)
        elif wire == _BYTES:
            size, start = _varint(message, at)
            at = start + size
            value = message[start:at]
        elif wire in (_FIXED64, _FIXED32):
            at += 8 if wire == _FIXED64 else 4
        else:
            raise BrokenError(f"wire type {wire}")
        if at > end:
            raise BrokenError("it ends in the middle of a field")
        yield number, value


def varints(message: memoryview) -> Iterator[int]:
    """The numbers of a packed field."""
    at = 0
    while at < len(message):
        value, at = _varint(message, at)
        yield value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """The number at `at`, and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise BrokenError("it ends in the middle of a number")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise BrokenError("a number of more than 10 bytes")
