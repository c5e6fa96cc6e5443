"""A shard: a safetensors file of some thousand labels with their keys, written once and never changed."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from sskt_edge.common.errors import StorageError
from sskt_edge.common.files import sha256_of, write_atomically
from sskt_edge.sources.store.keys import KEY_BYTES, Keys
from sskt_edge.sources.store.label_format import Arrays, LabelFormat
from sskt_edge.sources.store.manifest import Shard

SUFFIX = ".safetensors"
_TYPES = {"float16": "F16", "float32": "F32", "uint8": "U8", "uint16": "U16", "int32": "I32"}


class DamagedShardError(Exception):
    """A shard is missing, truncated or changed. Its labels are computed again, so that users never see this error."""


def write_shard(folder: Path, keys: Keys, arrays: Arrays, fill: str) -> Shard:
    """Write keys S16 [n] and their packed logits under a random name, so that two machines cannot choose the same one.

    Raises:
        StorageError: it cannot be written; nothing is left behind.
    """
    rows = len(keys)
    content = safetensors.numpy.save({"keys": keys.view(np.uint8).reshape(rows, KEY_BYTES), **arrays})
    name = secrets.token_hex(8) + SUFFIX
    write_atomically(folder / name, content)
    return Shard(name, hashlib.sha256(content).hexdigest(), rows, len(content), fill)


def check_shard(folder: Path, shard: Shard) -> None:
    """Check the whole file against its hash.

    Raises:
        DamagedShardError: it is missing, truncated or changed.
        StorageError: it cannot be read.
    """
    with _whole_size(folder / shard.name, shard.bytes) as path:
        if sha256_of(path) != shard.sha256:
            raise DamagedShardError("its content changed")


def map_shard(folder: Path, shard: Shard, label_format: LabelFormat) -> Arrays:
    """The shard's memory-mapped arrays by name, including `keys`: the system reads what is used and may drop it again.

    Raises:
        DamagedShardError: it is missing or truncated, or its header does not fit.
        StorageError: it cannot be read.
    """
    with _whole_size(folder / shard.name, shard.bytes) as path:
        content = np.asarray(np.memmap(path, np.uint8, "r"))  # a shard is never empty, which memmap refuses
    start = 8 + int.from_bytes(content[:8].tobytes(), "little")
    layout = {"keys": (np.dtype(np.uint8), (shard.rows, KEY_BYTES)), **label_format.layout(shard.rows)}
    try:
        header = json.loads(content[8:start].tobytes())
        arrays: dict[str, Any] = {}
        for name, (dtype, shape) in layout.items():
            declared = header[name]
            if (declared["dtype"], tuple(declared["shape"])) != (_TYPES[dtype.name], shape):
                raise ValueError(name)
            first, last = declared["data_offsets"]
            arrays[name] = content[start + first : start + last].view(dtype).reshape(shape)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedShardError("its header is broken") from error
    return arrays


def read_keys(folder: Path, shard: Shard, label_format: LabelFormat) -> Keys:
    """The keys of a shard, S16 [n], in memory. Raises the errors of `map_shard`."""
    keys: Keys = map_shard(folder, shard, label_format)["keys"].copy().view(f"S{KEY_BYTES}")[:, 0]
    return keys


@contextmanager
def _whole_size(path: Path, size: int) -> Iterator[Path]:
    """Check that a file has the expected size while it is read."""
    try:
        if (got := path.stat().st_size) != size:
            raise DamagedShardError(f"it has {got} of {size} bytes")
        yield path
    except FileNotFoundError as error:
        raise DamagedShardError("it is gone") from error
    except OSError as error:
        raise StorageError(
            f"Could not read '{path}': {error.strerror or error}. Check its permissions and the disk; if the file is "
            f"lost, delete it: its labels are then computed again."
        ) from error
