"""A collection's folder: its manifest, its shards, and the order in which they are written and removed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from sskt_edge.common.errors import DataError
from sskt_edge.common.files import storage_errors
from sskt_edge.common.progress import Progress
from sskt_edge.sources.store.keys import Keys
from sskt_edge.sources.store.label_format import Arrays, LabelFormat
from sskt_edge.sources.store.manifest import (
    FILE_NAME,
    CollectionManifest,
    Facts,
    Shard,
    key_of,
    read_manifest,
    write_manifest,
)
from sskt_edge.sources.store.shards import SUFFIX, DamagedShardError, check_shard, read_keys, write_shard


class CollectionFolder:
    """The folder on the disk. It is read again each time, so that changes by other processes are seen.

    `append`, `note`, `tidy` and `remove` are for the holder of the collection's lock.

    Args:
        path: the folder, which need not exist yet.
        facts: everything that decides the labels.
        label_format: the format of the labels.

    Attributes:
        damaged: name → reason, for shards that were found missing, truncated or changed.
        whole: the names of the shards whose hashes were checked.
    """

    def __init__(self, path: Path, facts: Facts, label_format: LabelFormat) -> None:
        self.path, self._facts, self._label_format = path, facts, label_format
        self._file = path / FILE_NAME
        self._keys: dict[str, Keys] = {}
        self.damaged: dict[str, str] = {}
        self.whole: set[str] = set()

    def manifest(self) -> CollectionManifest:
        """The folder's manifest; an empty one if there is none yet.

        Raises:
            DataError: it is broken, or belongs to another collection.
        """
        manifest = read_manifest(self.path) or CollectionManifest(self._facts, self._label_format)
        if key_of(manifest.facts, manifest.label_format) != key_of(self._facts, self._label_format):
            raise DataError(
                f"'{self._file}' belongs to another collection. Move the folder; its labels are computed again."
            )
        return manifest

    def shards(self) -> tuple[Shard, ...]:
        """The shards that the manifest lists, without those found damaged."""
        return tuple(shard for shard in self.manifest().shards if shard.name not in self.damaged)

    def keys(self, shard: Shard) -> Keys | None:
        """The keys of a shard, S16 [n]; None if it is visibly damaged. The whole shard is not read."""
        if shard.name not in self._keys:
            try:
                self._keys[shard.name] = read_keys(self.path, shard, self._label_format)
            except DamagedShardError as error:
                self.damaged[shard.name] = str(error)
                return None
        return self._keys[shard.name]

    def check(self, shard: Shard) -> bool:
        """Whether a shard is intact, by its hash."""
        self.damaged.pop(shard.name, None)
        try:
            check_shard(self.path, shard)
        except DamagedShardError as error:
            self.damaged[shard.name] = str(error)
            return False
        self.whole.add(shard.name)
        return True

    def append(self, keys: Keys, arrays: Arrays, fill: str, about: Facts) -> None:
        """Add a shard: first its file, then the manifest that lists it.

        Raises:
            StorageError: one of them cannot be written; what was there before stays intact.
        """
        shard = write_shard(self.path, keys, arrays, fill)
        write_manifest(self.path, self.manifest().with_shard(shard, about))

    def note(self, fill: str, about: Facts) -> None:
        """Add the note of a writer that adds no shard.

        Raises:
            StorageError: it cannot be written.
        """
        manifest = self.manifest()
        write_manifest(self.path, replace(manifest, fills={**manifest.fills, fill: about}))

    def tidy(self, progress: Progress) -> None:
        """Create a missing manifest, drop damaged shards from it, and remove files that it does not list.

        Raises:
            DataError: the manifest is broken, or is missing although there are shards.
            StorageError: the manifest cannot be written.
        """
        manifest, is_begun, files = self.manifest(), self._file.exists(), self._shard_files()
        if files and not is_begun:
            raise DataError(
                f"'{self.path}' has labels but no {FILE_NAME}. "
                f"Put it back, or delete the folder: its labels are computed again."
            )
        # A network disk may have shown an old state: a shard is given up only after a second look.
        lost = [shard for shard in manifest.shards if shard.name in self.damaged and not self.check(shard)]
        for shard in lost:
            why = self.damaged[shard.name]
            progress.say(f"'{self.path / shard.name}': {why}. Its {shard.rows:,} labels are computed again.")
        kept = tuple(shard for shard in manifest.shards if shard not in lost)
        if lost or not is_begun:
            write_manifest(self.path, replace(manifest, shards=kept))
        names = {shard.name for shard in kept}
        for file in [*files, *self.path.glob(".*.tmp")]:
            if file.name not in names:
                with suppress(OSError):  # Windows keeps a file that is still open; the next holder removes it
                    file.unlink()

    def remove(self) -> None:
        """Remove everything except the user's own files.

        Raises:
            StorageError: a file cannot be removed.
        """
        # Write an empty manifest first: if the process is killed at any moment, what is left is still a collection.
        write_manifest(self.path, replace(self.manifest(), shards=()))
        with storage_errors(self.path):
            for file in [*self._shard_files(), self._file]:
                file.unlink()
        with suppress(OSError):
            self.path.rmdir()

    def _shard_files(self) -> list[Path]:
        return list(self.path.glob(f"*{SUFFIX}"))
