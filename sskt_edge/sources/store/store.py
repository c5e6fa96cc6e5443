"""The label store: a folder of collections, one for each way in which labels were made."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sskt_edge.common.errors import DataError
from sskt_edge.common.lock import remove_if_free
from sskt_edge.sources.store.collection import Collection
from sskt_edge.sources.store.manifest import FILE_NAME, plain, read_manifest
from sskt_edge.sources.store.shards import SUFFIX

# ".<collection>.lock"; older versions wrote it without the first dot. A user's uv.lock is another file.
_LOCK = re.compile(r"\.?[a-z0-9-]*-[0-9a-f]{12}\.lock")


class LabelStore:
    """Collections of soft labels below one folder."""

    def __init__(self, path: Path) -> None:
        """Nothing is created at `path` before something is stored."""
        self.path = path

    def collection(self, facts: Mapping[str, object], classes: int, top_k: int = 0) -> Collection:
        """The collection for these facts, whether or not it is on the disk.

        Args:
            facts: everything that decides a label except the image and the view, as JSON with the key "model".
            classes: the number of logits of a label.
            top_k: how many of them are kept; 0 keeps all.
        """
        return Collection(self.path, facts, classes, top_k)

    def collections(self, skip_broken: bool = False) -> list[Collection]:
        """The collections on the disk, sorted by name.

        Args:
            skip_broken: leave out collections that cannot be read.

        Raises:
            DataError: a manifest is broken.
        """
        found = []
        for folder in self._folders():
            with suppress(*([DataError] if skip_broken else [])):
                found.append(self._in(folder))
        return [one for one in found if one is not None]

    def lost(self) -> list[Path]:
        """Folders that have shards but no manifest, so that nothing reads them."""
        return [
            folder
            for folder in self._folders()
            if not (folder / FILE_NAME).exists() and next(folder.glob(f"*{SUFFIX}"), None) is not None
        ]

    def remove_left_over_locks(self) -> None:
        """Remove locks that killed processes or older versions left behind; a lock that a process holds stays."""
        for path in sorted(self.path.glob("*.lock")):
            if _LOCK.fullmatch(path.name):
                remove_if_free(path)

    def nearest(self, facts: Mapping[str, object], top_k: int = 0) -> tuple[Collection, list[str]] | None:
        """The collection of the same model whose facts differ least, and the differences; None if there is none.

        Each difference is a sentence: "source.mean: [0, 0, 0] then, [0.5, 0.5, 0.5] now".
        """
        now = _flat({**plain(facts), "top_k": top_k})
        best: tuple[Collection, list[str]] | None = None
        for found in self.collections(skip_broken=True):  # a broken collection cannot be compared
            if found.rows == 0 or found.facts["model"] != now["model"]:
                continue
            then = _flat({**found.facts, "top_k": found.top_k})
            differ = [
                f"{name}: {then.get(name, 'not there')} then, {now.get(name, 'not there')} now"
                for name in sorted(now.keys() | then.keys())
                if then.get(name) != now.get(name) or (name in then) != (name in now)
            ]
            if best is None or len(differ) < len(best[1]):
                best = found, differ
        return best

    def _folders(self) -> list[Path]:
        return sorted(path for path in self.path.glob("*") if path.is_dir())

    def _in(self, folder: Path) -> Collection | None:
        """The collection in a folder; None if the folder is something else."""
        manifest = read_manifest(folder)
        if manifest is None:
            return None
        found = self.collection(manifest.facts, manifest.label_format.classes, manifest.label_format.top_k)
        if found.path.name != folder.name:
            raise DataError(f"'{folder}' is the collection '{found.path.name}' renamed. Rename it back, or delete it.")
        return found


def _flat(facts: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} → {"a.b": 1}."""
    return dict(_leaves(facts, above))


def _leaves(facts: Mapping[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value
