"""A collection: the labels of one source by one engine, for any images and views."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sskt_edge.common.lock import locked
from sskt_edge.common.progress import QUIET, Progress
from sskt_edge.common.seal import carries_hash
from sskt_edge.sources.store.collection_folder import CollectionFolder
from sskt_edge.sources.store.keys import KEY_BYTES, KeyIndex, Keys
from sskt_edge.sources.store.label_format import LabelFormat
from sskt_edge.sources.store.manifest import FILE_NAME, Facts, Shard, key_of, plain
from sskt_edge.sources.store.stored import StoredLogits
from sskt_edge.sources.store.writer import Writer


@dataclass(frozen=True)
class Damage:
    """A shard whose content has changed since it was written.

    Attributes:
        path: its file.
        why: what is wrong with it.
        rows: the number of its labels, which now count as missing.
    """

    path: Path
    why: str
    rows: int


class Collection:
    """Labels that differ only in the image and the view. Nothing is on the disk before `held`.

    Every method looks at the disk again, so that it sees what another process adds. Reading takes no lock; adding takes
    the lock: ::

        while (stored := collection.open(keys, progress)) is None:
            with collection.held(progress), collection.writer(about) as writer:
                for batch in batches(collection.missing(keys)):
                    writer.add(keys[batch], logits_of(batch))
        stored.read(slots)

    Args:
        store: the folder of all collections.
        facts: everything that decides the labels, as JSON with the key "model".
        classes: C, the number of classes.
        top_k: how many logits are kept; 0 keeps all.

    Attributes:
        key: the SHA-256, in hex, of the facts and the label format.
        path: its folder.
        row_bytes: the size of a label on the disk.
    """

    def __init__(self, store: Path, facts: Mapping[str, object], classes: int, top_k: int = 0) -> None:
        self.facts: Facts = plain(facts)
        self._label_format = LabelFormat.of(classes, top_k)
        self.classes, self.top_k = self._label_format.classes, self._label_format.top_k
        self.key = key_of(self.facts, self._label_format)
        self.path = store / f"{_slug(str(self.facts['model']))}-{self.key[:12]}"
        sizes = [dtype.itemsize * int(np.prod(shape)) for dtype, shape in self._label_format.layout(1).values()]
        self.row_bytes = KEY_BYTES + sum(sizes)
        self._folder = CollectionFolder(self.path, self.facts, self._label_format)
        self._index: tuple[tuple[Shard, ...], KeyIndex] = ((), KeyIndex([]))
        self._is_held = False

    @property
    def shards(self) -> tuple[Shard, ...]:
        """The shards on the disk, without those found damaged."""
        return self._folder.shards()

    @property
    def rows(self) -> int:
        """The number of its labels."""
        return sum(shard.rows for shard in self.shards)

    @property
    def bytes(self) -> int:
        """The size of its shards on the disk."""
        return sum(shard.bytes for shard in self.shards)

    @property
    def fills(self) -> list[Facts]:
        """The notes of its writers, in order."""
        return list(self._folder.manifest().fills.values())

    @property
    def created(self) -> str:
        """When it was created, in ISO 8601."""
        return self._folder.manifest().created

    @property
    def is_protected(self) -> bool:
        """Whether its manifest carries its own hash. An older manifest gets one when it is next written."""
        return carries_hash((self.path / FILE_NAME).read_bytes())

    @property
    def used(self) -> float:
        """When it was last written or opened, in seconds since 1970; 0 if it is not on the disk."""
        file = self.path / FILE_NAME
        return file.stat().st_mtime if file.exists() else 0.0

    def missing(self, keys: Keys) -> NDArray[np.bool_]:
        """Which keys have no label. S16 [N] → bool [N].

        Raises:
            DataError: the manifest is broken.
            StorageError: a shard cannot be read.
        """
        missing: NDArray[np.bool_] = self._find(keys)[1] < 0
        return missing

    def open(self, keys: Keys, progress: Progress = QUIET) -> StoredLogits | None:
        """The labels of the keys S16 [N], whose shards are checked against their hashes; None if a label is missing.

        A damaged shard is reported and removed, and its labels are then missing: fill, and open again.

        Raises:
            DataError: the manifest is broken.
            StorageError: a shard cannot be read.
        """
        shards, numbers, rows = self._find(keys)
        unchecked = {shards[number].name for number in np.unique(numbers) if number >= 0} - self._folder.whole
        doubtful = unchecked.union(self._folder.damaged)
        damages = self._take_out_damaged(
            [shard for shard in self._folder.manifest().shards if shard.name in doubtful], progress
        )
        if damages or (numbers < 0).any():
            return None
        with suppress(OSError):  # a store may be read-only
            os.utime(self.path / FILE_NAME)
        return StoredLogits(self.path, self._label_format, shards, numbers, rows)

    def verify(self, progress: Progress = QUIET) -> list[Damage]:
        """Check every shard against its hash. Remove damaged ones, so that the next fill computes their labels again.

        Raises:
            DataError: the manifest is broken.
            StorageError: a shard cannot be read.
        """
        return self._take_out_damaged(self._folder.manifest().shards, progress)

    @contextmanager
    def held(self, progress: Progress = QUIET) -> Iterator[None]:
        """Hold the lock for writing: wait for other processes, and remove what a killed one left behind.

        Args:
            progress: reports the process that it waits for and damaged shards; a bar that raises ends the waiting.

        Raises:
            DataError: the manifest is broken or gone.
            StorageError: the lock file or the manifest cannot be written.
        """
        if self._is_held:
            raise RuntimeError("the collection is held already")
        lock = self.path.with_name(f".{self.path.name}.lock")
        with locked(lock, "fills the same labels", progress, remove=True):
            self._folder.tidy(progress)
            self._is_held = True
            try:
                yield
            finally:
                self._is_held = False

    def writer(self, about: Mapping[str, object], rows: int = 8192, seconds: float = 30.0) -> Writer:
        """A context that adds labels. It must be inside `held`.

        Args:
            about: a note, as JSON, that the list of collections shows.
            rows: the number of rows of a full shard.
            seconds: how long after its first row a shard is written even if it is not full.
        """
        if not self._is_held:
            raise RuntimeError("hold the collection before you write to it")
        append = partial(self._folder.append, fill=secrets.token_hex(8), about=plain(about))
        return Writer(append, self._label_format, rows, seconds)

    def note(self, about: Mapping[str, object]) -> None:
        """Add a note that the list of collections shows, without labels. It must be inside `held`.

        Raises:
            StorageError: it cannot be written.
        """
        if not self._is_held:
            raise RuntimeError("hold the collection before you write to it")
        self._folder.note(secrets.token_hex(8), plain(about))

    def prune(self, progress: Progress = QUIET) -> None:
        """Remove the collection from the disk, after waiting for a process that fills it.

        Raises:
            DataError: the manifest is broken.
            StorageError: it cannot be removed.
        """
        with self.held(progress):
            self._folder.remove()

    def _find(self, keys: Keys) -> tuple[tuple[Shard, ...], NDArray[np.int32], NDArray[np.int32]]:
        """S16 [N] → the shards, and each key's shard number and row, int32 [N]; -1 where the key is missing."""
        readable = [(shard, its) for shard in self.shards if (its := self._folder.keys(shard)) is not None]
        shards = tuple(shard for shard, _ in readable)
        if shards != self._index[0]:
            self._index = shards, KeyIndex([its for _, its in readable])
        return shards, *self._index[1].find(keys)

    def _take_out_damaged(self, shards: Sequence[Shard], progress: Progress) -> list[Damage]:
        damages: list[Damage] = []
        if not shards:
            return damages
        with progress.bar("verify labels", len(shards)) as bar:
            for shard in shards:
                if not self._folder.check(shard):
                    damages.append(Damage(self.path / shard.name, self._folder.damaged[shard.name], shard.rows))
                bar.advance()
        if damages and self._is_held:
            self._folder.tidy(progress)
        elif damages:
            with self.held(progress):
                pass
        return damages


def _slug(model: str) -> str:
    """The end of a model's name, in a form that suits a folder name."""
    return re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")[-40:].strip("-")
