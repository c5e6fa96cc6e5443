"""A collection's manifest.json, which lists every shard with its hash and is written last."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sskt_edge.common import seal
from sskt_edge.common.errors import DataError
from sskt_edge.common.files import read_regular, write_atomically
from sskt_edge.sources.store.label_format import LabelFormat

FORMAT = 2
_UNSEALED = 1  # the previous format, whose manifest has no hash of its own
_KEYED = 1  # part of every key: after a change, all labels would be computed again
FILE_NAME = "manifest.json"
Facts = dict[str, Any]


@dataclass(frozen=True)
class Shard:
    """A file of labels. `fill` identifies the writer that made it."""

    name: str
    sha256: str
    rows: int
    bytes: int
    fill: str

    def __post_init__(self) -> None:
        """Check the values, since a manifest from elsewhere must not name a file outside its folder."""
        if not re.fullmatch(r"[0-9a-f]+\.safetensors", self.name):
            raise ValueError(f"'{self.name}' is not the name of a shard")
        if not (_is_count(self.rows, 1) and _is_count(self.bytes, 1) and isinstance(self.sha256, str)):
            raise ValueError(f"'{self.name}' has an impossible size or hash")


@dataclass(frozen=True)
class CollectionManifest:
    """manifest.json.

    Attributes:
        facts: everything that decides the labels, as JSON.
        label_format: the format of the labels.
        created: when the collection was created, in ISO 8601.
        shards: the shards, in the order in which they were written.
        fills: number of a writer → its note.
    """

    facts: Facts
    label_format: LabelFormat
    created: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))
    shards: tuple[Shard, ...] = ()
    fills: dict[str, Facts] = field(default_factory=dict)

    def with_shard(self, shard: Shard, about: Facts) -> CollectionManifest:
        """Add a shard by a writer whose note is `about`."""
        return replace(self, shards=(*self.shards, shard), fills={**self.fills, shard.fill: about})


def plain(facts: Mapping[str, object]) -> Facts:
    """The facts after a round trip through JSON: tuples become lists."""
    answer: Facts = json.loads(json.dumps(dict(facts), allow_nan=False))
    return answer


def key_of(facts: Facts, label_format: LabelFormat) -> str:
    """The SHA-256, in hex, of the facts and the label format."""
    decisive = {"facts": facts, "form": asdict(label_format), "format": _KEYED}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def write_manifest(folder: Path, manifest: CollectionManifest) -> None:
    """Replace the folder's manifest atomically.

    Raises:
        StorageError: it cannot be written; the old one stays intact.
    """
    names = {"label_format": "form"}  # the name in the first version of the format
    content = {names.get(name, name): value for name, value in asdict(manifest).items()}
    content = {"format": FORMAT, "key": key_of(manifest.facts, manifest.label_format), **content}
    write_atomically(folder / FILE_NAME, seal.sealed_json(content))


def read_manifest(folder: Path) -> CollectionManifest | None:
    """Read a folder's manifest; None if there is none. Its own hash is checked first.

    Raises:
        DataError: it is broken, was changed, has a newer format, has facts that do not match its key, or is a link.
    """
    for path in (folder, folder / FILE_NAME):
        if path.is_symlink():  # filling, verifying and pruning would write and delete behind the link
            raise DataError(
                f"'{path}' is a link; a store of labels holds only its own folders and files. Name the store that it "
                "leads to (labels.store, --store), or put a copy in its place."
            )
    try:
        raw, carries_hash = seal.unsealed_json(read_regular(folder / FILE_NAME))
        if isinstance(raw, dict) and "format" not in raw:
            raise DataError(f"'{folder}' is not a folder of labels, by its {FILE_NAME}. Move it out of the store.")
        if isinstance(raw["format"], int) and raw["format"] > FORMAT:
            raise DataError(f"The labels in '{folder}' are from a newer sskt-edge. Upgrade it, or name another store.")
        if raw["format"] != _UNSEALED and not carries_hash:
            raise seal.BrokenSealError(seal.LOST)
        manifest = _checked(raw)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(
            f"'{folder / FILE_NAME}' cannot be read: {error.strerror}. Check its permissions, "
            "or delete the folder: its labels are then computed again."
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        why = str(error) if isinstance(error, seal.BrokenSealError) else f"{type(error).__name__}: {error}"
        raise DataError(
            f"'{folder / FILE_NAME}' is broken: {why}. Put a copy of it back, or delete the "
            f"folder: its labels are then computed again."
        ) from error
    return manifest


def _checked(raw: Any) -> CollectionManifest:
    """Check the content of a manifest, which may have been made by somebody else.

    Raises:
        ValueError, KeyError, TypeError: it is not valid.
    """
    label_format, shards = LabelFormat(**raw["form"]), tuple(Shard(**shard) for shard in raw["shards"])
    manifest = CollectionManifest(raw["facts"], label_format, str(raw["created"]), shards, raw["fills"])
    classes, top_k = label_format.classes, label_format.top_k
    if not (_is_count(classes, 1) and _is_count(top_k, 0) and top_k < classes):
        raise ValueError(f"{classes} classes and top_k {top_k} are not possible")
    if not isinstance(manifest.facts, dict) or not isinstance(manifest.facts.get("model"), str):
        raise TypeError("its facts name no model")
    if not isinstance(manifest.fills, dict) or not all(isinstance(fill, dict) for fill in manifest.fills.values()):
        raise TypeError("the notes of its writers cannot be read")
    if raw["key"] != key_of(manifest.facts, label_format):
        raise ValueError("its facts do not match its key")
    return manifest


def _is_count(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
