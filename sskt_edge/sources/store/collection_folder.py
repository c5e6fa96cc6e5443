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
    """What is on the disk. It is looked at again each time, so that what another process adds is seen.

    `append`, `note`, `tidy` and `remove` are for the holder of the collection's lock.

    Args:
        path: where it is, or will be.
        facts: what decides the labels.
        label_format: how they are kept.

    Attributes:
        damaged: why, by the names of shards that were found to be gone, cut or changed.
        whole: names of shards that were checked against their hash.
    """

    def __init__(self, path: Path, facts: Facts, label_format: LabelFormat) -> None:
        self.path, self._facts, self._label_format = path, facts, label_format
        self._file = path / FILE_NAME
        self._keys: dict[str, Keys] = {}
        self.damaged: dict[str, str] = {}
        self.whole: set[str] = set()

    def manifest(self) -> CollectionManifest:
        """What the folder says of itself; an empty one where there is none yet.

        Raises:
            DataError: it is broken, or of another collection.
        """
        manifest = read_manifest(self.path) or CollectionManifest(self._facts, self._label_format)
        if key_of(manifest.facts, manifest.label_format) != key_of(self._facts, self._label_format):
            raise DataError(
                f"'{self._file}' is of another collection. Move the folder elsewhere; its labels are asked again."
            )
        return manifest

    def shards(self) -> tuple[Shard, ...]:
        """Those that the manifest names, without those found damaged."""
        return tuple(shard for shard in self.manifest().shards if shard.name not in self.damaged)

    def keys(self, shard: Shard) -> Keys | None:
        """The keys of a shard, S16 [n]; None if it is damaged, as far as can be seen without reading all of it."""
        if shard.name not in self._keys:
            try:
                self._keys[shard.name] = read_keys(self.path, shard, self._label_format)
            except DamagedShardError as error:
                self.damaged[shard.name] = str(error)
                return None
        return self._keys[shard.name]

    def check(self, shard: Shard) -> bool:
        """Whether a shard is whole now, by its hash."""
        self.damaged.pop(shard.name, None)
        try:
            check_shard(self.path, shard)
        except DamagedShardError as error:
            self.damaged[shard.name] = str(error)
            return False
        self.whole.add(shard.name)
        return True

    def append(self, keys: Keys, arrays: Arrays, fill: str, about: Facts) -> None:
        """Add a shard: first its file, then the manifest that names it.

        Raises:
            StorageError: the disk does not take one of them; what was there before is whole.
        """
        shard = write_shard(self.path, keys, arrays, fill)
        write_manifest(self.path, self.manifest().with_shard(shard, about))

    def note(self, fill: str, about: Facts) -> None:
        """Add what a writer says that adds no shard.

        Raises:
            StorageError: the disk does not take it.
        """
        manifest = self.manifest()
        write_manifest(self.path, replace(manifest, fills={**manifest.fills, fill: about}))

    def tidy(self, progress: Progress) -> None:
        """Begin a manifest if there is none, take damaged shards out of it, remove files that it does not name.

        Raises:
            DataError: the manifest is broken, or gone while there are shards.
            StorageError: the disk does not take the manifest.
        """
        manifest, is_begun, files = self.manifest(), self._file.exists(), self._shard_files()
        if files and not is_begun:
            raise DataError(
                f"'{self.path}' has labels but no {FILE_NAME}. "
                f"Put it back, or delete the folder: its labels are asked again."
            )
        # A network disk may have shown an old state: nothing is given up that has not been looked at twice.
        lost = [shard for shard in manifest.shards if shard.name in self.damaged and not self.check(shard)]
        for shard in lost:
            why = self.damaged[shard.name]
            progress.say(f"'{self.path / shard.name}': {why}. Its {shard.rows:,} labels are asked again.")
        kept = tuple(shard for shard in manifest.shards if shard not in lost)
        if lost or not is_begun:
            write_manifest(self.path, replace(manifest, shards=kept))
        names = {shard.name for shard in kept}
        for file in [*files, *self.path.glob(".*.tmp")]:
            if file.name not in names:
                with suppress(OSError):  # Windows keeps a file that someone still reads; the next holder removes it
                    file.unlink()

    def remove(self) -> None:
        """Remove all but what is the user's own.

        Raises:
            StorageError: the disk does not let it go.
        """
        # A manifest that names nothing comes first: killed at any moment, what is left is a collection.
        write_manifest(self.path, replace(self.manifest(), shards=()))
        with storage_errors(self.path):
            for file in [*self._shard_files(), self._file]:
                file.unlink()
        with suppress(OSError):
            self.path.rmdir()

    def _shard_files(self) -> list[Path]:
        return list(self.path.glob(f"*{SUFFIX}"))
