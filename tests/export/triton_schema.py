"""What Triton takes as a model's config.pbtxt: the part of its schema that a repository of ours may use.

https://github.com/triton-inference-server/common/blob/main/protobuf/model_config.proto
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

_ENUMS = {
    "DataType": {"TYPE_INVALID": 0, "TYPE_UINT8": 2, "TYPE_FP16": 10, "TYPE_FP32": 11},
    "Kind": {"KIND_AUTO": 0, "KIND_GPU": 1, "KIND_CPU": 2, "KIND_MODEL": 3},
}
# message → field → number and type; * stands for repeated.
_MESSAGES = {
    "ModelInput": {"name": (1, "string"), "data_type": (2, "DataType"), "dims": (4, "*int64")},
    "ModelOutput": {
        "name": (1, "string"),
        "data_type": (2, "DataType"),
        "dims": (3, "*int64"),
        "label_filename": (4, "string"),
    },
    "ModelDynamicBatching": {"preferred_batch_size": (1, "*int32"), "max_queue_delay_microseconds": (2, "uint64")},
    "ModelInstanceGroup": {"name": (1, "string"), "count": (2, "int32"), "kind": (4, "Kind")},
    "ModelConfig": {
        "name": (1, "string"),
        "platform": (2, "string"),
        "max_batch_size": (4, "int32"),
        "input": (5, "*ModelInput"),
        "output": (6, "*ModelOutput"),
        "instance_group": (7, "*ModelInstanceGroup"),
        "dynamic_batching": (11, "ModelDynamicBatching"),
        "backend": (17, "string"),
    },
}
_SCALARS = {"string": 9, "int32": 5, "int64": 3, "uint64": 4}
_ENUM, _MESSAGE, _ONE, _REPEATED = 14, 11, 1, 3  # protobuf's numbers for these


def read_config(folder: Path) -> Any:
    """A model's config.pbtxt; a field that Triton does not know, or one of another type, is an error."""
    text_format = pytest.importorskip("google.protobuf.text_format")
    return text_format.Parse((folder / "config.pbtxt").read_text(encoding="utf-8"), _model_config()())


def _model_config() -> Any:
    descriptors = pytest.importorskip("google.protobuf.descriptor_pb2")
    pools = pytest.importorskip("google.protobuf.descriptor_pool")
    factory = pytest.importorskip("google.protobuf.message_factory")
    file = descriptors.FileDescriptorProto(name="model_config.proto", package="inference", syntax="proto3")
    for name, values in _ENUMS.items():
        enum = file.enum_type.add(name=name)
        for value, number in values.items():
            enum.value.add(name=value, number=number)
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            bare = kind.lstrip("*")
            message.field.add(
                name=field,
                number=number,
                label=_ONE if kind == bare else _REPEATED,
                type=_SCALARS.get(bare) or (_ENUM if bare in _ENUMS else _MESSAGE),
                type_name=None if bare in _SCALARS else f".inference.{bare}",
            )
    pool = pools.DescriptorPool()
    pool.Add(file)
    return factory.GetMessageClass(pool.FindMessageTypeByName("inference.ModelConfig"))
