"""A bundle on disk: a folder of files, each verified against the manifest before it is used.

A file is read once for each use; the bytes that were hashed are the bytes that are parsed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from sskt_edge.bundle import golden as golden_set
from sskt_edge.bundle import manifest as manifest_file
from sskt_edge.bundle.golden import Golden
from sskt_edge.bundle.manifest import FileRecord, Manifest, PrecisionRecord
from sskt_edge.bundle.onnx_limits import refuse_costly
from sskt_edge.bundle.onnx_wire import refuse_untrusted
from sskt_edge.common.artefacts import kind_of, what_it_is
from sskt_edge.common.errors import BundleError, nearest
from sskt_edge.common.files import read_regular, storage_errors, write_atomically
from sskt_edge.common.lock import locked
from sskt_edge.common.progress import QUIET, Progress
from sskt_edge.common.seal import unprotected
from sskt_edge.tasks.task import Task, task_named

MANIFEST = "manifest.json"
_MAX_MANIFEST = 1 << 24
LOCK = ".lock"
_AGAIN = "Copy the bundle again, or export it again."


@dataclass(frozen=True)
class Bundle:
    """An opened bundle. Make one with `open_bundle`."""

    path: Path
    manifest: Manifest

    @property
    def task(self) -> Task:
        """The task that says what its labels and answers mean."""
        return task_named(self.manifest.task)

    @property
    def notes(self) -> list[str]:
        """Remarks for the user: a manifest of an older version carries no hash of its own."""
        if self.manifest.is_protected:
            return []
        return [unprotected(f"'{self.path / MANIFEST}'") + "; export again to protect it"]

    def read(self, name: str) -> bytes:
        """The bytes of a listed file, verified.

        Raises:
            BundleError: the file is not listed, missing, changed or a link, or is an ONNX file that is not trusted.
        """
        record = self.manifest.files.get(name)
        if record is None:
            raise BundleError(f"'{self.path}': the manifest lists no file '{name}'. {_AGAIN}")
        content = _read_inside(self.path, name, record.bytes)
        if len(content) != record.bytes:
            raise BundleError(
                f"'{self.path / name}' has {len(content)} bytes, but the manifest says {record.bytes}: "
                f"it was truncated or changed. {_AGAIN}"
            )
        if hashlib.sha256(content).hexdigest() != record.sha256:
            raise BundleError(f"'{self.path / name}' is not the file that was exported: its SHA-256 differs. {_AGAIN}")
        if name.endswith(".onnx"):
            takes = self.manifest.input
            refuse_untrusted(content, str(self.path / name))
            refuse_costly(content, takes.batch.max, takes.shape, str(self.path / name))
        return content

    def precision(self, name: str) -> PrecisionRecord:
        """The manifest's record of a precision.

        Raises:
            BundleError: the bundle lacks this precision; the message gives the reason if the manifest records one.
        """
        for known, record in self.manifest.precisions.items():
            if known == name:
                return record
        refused = [f"It was refused at export: {why}" for known, why in self.manifest.refused.items() if known == name]
        has = f"It has: {', '.join(self.manifest.precisions)}."
        raise BundleError(" ".join([f"'{self.path}' has no {name}.", *refused, has]))

    def with_files(self, files: dict[str, bytes], progress: Progress = QUIET, without: Collection[str] = ()) -> Bundle:
        """Add files, or replace files that it has, and open the bundle again.

        The manifest is written last, in the current schema, when every file that it lists is complete. Files that it
        no longer lists are removed after that. Two processes that do this wait for each other.

        Args:
            files: name → content.
            progress: reports what it waits for.
            without: names to remove, except those in `files`.

        Raises:
            BundleError: the bundle was damaged in the meantime, or a link in it leads elsewhere.
            StorageError: a file cannot be written, and the old manifest stays; or a file cannot be removed.
        """
        dropped = set(without) - files.keys()
        for name in (LOCK, *files, *dropped):
            _path_inside(self.path, name)
        with locked(self.path / LOCK, "writes into the bundle", progress):
            manifest = open_bundle(self.path).manifest
            records = {name: record for name, record in manifest.files.items() if name not in dropped}
            for name, content in files.items():
                write_atomically(self.path / name, content)
                records[name] = FileRecord(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
            # The model is validated again; model_copy would skip that.
            changed = Manifest.model_validate({**dict(manifest), "files": records})
            write_atomically(self.path / MANIFEST, changed.as_bytes())
            for name in dropped:
                with storage_errors(self.path / name):
                    (self.path / name).unlink(missing_ok=True)
            return open_bundle(self.path)

    def golden(self) -> Golden:
        """The golden set.

        Raises:
            BundleError: it was changed, or does not have the form that the manifest states.
        """
        content, manifest = self.read(golden_set.FILE_NAME), self.manifest
        return golden_set.golden_from_bytes(content, manifest.input.shape, len(manifest.classes), self.task)


def open_bundle(path: Path | str) -> Bundle:
    """Open a bundle and verify every file that its manifest lists; other files are never opened.

    Raises:
        BundleError: the folder holds no bundle, its manifest is invalid, or a file is missing, changed or not trusted.

    >>> import sskt_edge
    >>> bundle = sskt_edge.open_bundle("bundles/tiny")
    >>> bundle.manifest.target, bundle.manifest.input.shape, len(bundle.manifest.classes)
    ('resnet20', (16, 16, 3), 10)
    """
    path = Path(path)
    if path.is_file():
        raise BundleError(
            f"'{path}' is a file; a bundle is a folder. If it is an archive, unpack it and name the folder."
        )
    if not path.is_dir():
        around = path.parent.iterdir() if path.parent.is_dir() else []
        near = nearest(path.name, sorted(other.name for other in around))
        raise BundleError(f"No bundle at '{path}'. {near}Make one: sskt-edge export.")
    if kind_of(path) not in ("bundle", ""):
        raise BundleError(f"No bundle at '{path}'. {what_it_is(path)}")
    try:
        manifest = manifest_file.parse(_read_inside(path, MANIFEST, _MAX_MANIFEST))
    except BundleError as error:
        raise BundleError(f"'{path}' cannot be opened as a bundle: {error}") from error
    bundle = Bundle(path, manifest)
    for name in [golden_set.FILE_NAME, *(name for name in manifest.files if name != golden_set.FILE_NAME)]:
        bundle.read(name)
    return bundle


def find_newest_bundle(here: Path = Path()) -> Path:
    """The bundle that was written last: `here` itself, one of its sub-folders, or a folder in its bundles/.

    Raises:
        BundleError: there is none.
    """
    found = [
        path
        for place in (MANIFEST, f"*/{MANIFEST}", f"bundles/*/{MANIFEST}")
        for path in here.glob(place)
        # A store of labels has a manifest.json too.
        if not path.parent.name.startswith(".") and (path.parent / golden_set.FILE_NAME).is_file()
    ]
    if not found:
        raise BundleError(
            f"No bundle in '{here.absolute()}', in its sub-folders or in those of bundles/. "
            "Name one, or make one: sskt-edge export."
        )
    return max(found, key=lambda path: (path.stat().st_mtime_ns, path.parent.name)).parent


def _read_inside(root: Path, name: str, most: int) -> bytes:
    """Read at most `most` + 1 bytes of a regular file below `root`, following no link."""
    path = root / name
    try:
        path = _path_inside(root, name)
        return read_regular(path, most)
    except OSError as error:
        raise BundleError(f"'{path}' cannot be read: {error.strerror or error}. {_AGAIN}") from error


def _path_inside(root: Path, name: str) -> Path:
    """The path of a name below `root`, whether it exists or not; a link out of `root` is refused."""
    path = root
    for part in name.split("/"):
        path /= part
        if path.is_symlink():
            raise BundleError(f"'{path}' is a link; a bundle holds files only. Put the file itself in its place.")
    return path
