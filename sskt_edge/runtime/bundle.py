"""A bundle on disk: a folder whose every file is what the manifest says, or an error before any of it is used.

A file is read once for each use; the bytes that were hashed are the bytes that are parsed.
"""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path

from sskt_edge.errors import BundleError, InputError, NetworkError, nearest
from sskt_edge.runtime import golden as golden_set
from sskt_edge.runtime import manifest as manifest_file
from sskt_edge.runtime.backends import BACKENDS
from sskt_edge.runtime.golden import Golden
from sskt_edge.runtime.manifest import Manifest
from sskt_edge.runtime.onnx_wire import refuse_external_data
from sskt_edge.runtime.session import Session

MANIFEST = "manifest.json"
_MAX_MANIFEST = 1 << 24
_AGAIN = "Copy the bundle again, or export it again."


@dataclass(frozen=True)
class Bundle:
    """An opened bundle. Make one with `open_bundle`."""

    path: Path
    manifest: Manifest

    def read(self, name: str) -> bytes:
        """The bytes of a listed file, verified.

        Raises:
            BundleError: not listed, missing, changed, a link, or an ONNX file that names external data.
        """
        record = self.manifest.files.get(name)
        if record is None:
            raise BundleError(f"'{self.path}': the manifest lists no file '{name}'. {_AGAIN}")
        content = _read_inside(self.path, name, record.bytes)
        if len(content) != record.bytes:
            raise BundleError(
                f"'{self.path / name}' has {len(content)} bytes, the manifest says {record.bytes}: "
                f"it was cut or changed. {_AGAIN}"
            )
        if hashlib.sha256(content).hexdigest() != record.sha256:
            raise BundleError(f"'{self.path / name}' is not the file that was exported: its SHA-256 differs. {_AGAIN}")
        if name.endswith(".onnx"):
            refuse_external_data(content, str(self.path / name))
        return content

    def session(self, backend: str = "onnxruntime", provider: str = "auto", threads: int = 0) -> Session:
        """A session that runs the bundle's fp32 network.

        Raises:
            BundleError: the file is changed, or the backend does not take it.
            InputError: no such backend or provider.
            MissingExtraError: the backend's package is not installed.
        """
        if backend not in BACKENDS:
            raise InputError(f"Unknown backend '{backend}'. {nearest(backend, BACKENDS)}Known: {', '.join(BACKENDS)}.")
        shape = self.manifest.input
        file = self.manifest.precisions["fp32"].file
        try:
            return BACKENDS[backend](
                self.read(file), shape.height, shape.width, shape.batch.max, provider=provider, threads=threads
            )
        except NetworkError as error:
            raise BundleError(f"'{self.path / file}': {error}") from error

    def golden(self) -> Golden:
        """The golden set.

        Raises:
            BundleError: it is changed, or not of the manifest's form.
        """
        shape = self.manifest.input
        content = self.read(golden_set.FILE_NAME)
        return golden_set.golden_from_bytes(content, shape.height, shape.width, len(self.manifest.classes))


def open_bundle(path: Path | str) -> Bundle:
    """Open a bundle and verify every file that its manifest lists; other files are never opened.

    Raises:
        BundleError: no bundle, a manifest that does not hold, or a file that is missing, changed or not to be trusted.
    """
    path = Path(path)
    if not path.is_dir():
        around = path.parent.iterdir() if path.parent.is_dir() else []
        near = nearest(path.name, sorted(other.name for other in around))
        raise BundleError(f"No bundle at '{path}'. {near}Make one: sskt-edge export.")
    try:
        manifest = manifest_file.parse(_read_inside(path, MANIFEST, _MAX_MANIFEST))
    except BundleError as error:
        raise BundleError(f"'{path}' cannot be opened as a bundle: {error}") from error
    bundle = Bundle(path, manifest)
    for name in [golden_set.FILE_NAME, *(name for name in manifest.files if name != golden_set.FILE_NAME)]:
        bundle.read(name)
    return bundle


def find_newest_bundle(folder: Path = Path("bundles")) -> Path:
    """The bundle in `folder` that was written last.

    Raises:
        BundleError: there is none.
    """
    found = [path for path in folder.glob(f"*/{MANIFEST}") if not path.parent.name.startswith(".")]
    if not found:
        raise BundleError(f"No bundle in '{folder}'. Make one: sskt-edge export.")
    return max(found, key=lambda path: (path.stat().st_mtime_ns, path.parent.name)).parent


def _read_inside(root: Path, name: str, most: int) -> bytes:
    """At most `most` + 1 bytes of a regular file below `root` that is reached through no link."""
    path = root
    try:
        for part in name.split("/"):
            path /= part
            if path.is_symlink():
                raise BundleError(f"'{path}' is a link; a bundle holds files only. Put the file itself in its place.")
        # Opening a pipe would wait for its other end.
        if not stat.S_ISREG(path.stat().st_mode):
            raise BundleError(f"'{path}' is not a regular file. {_AGAIN}")
        with path.open("rb") as file:
            return file.read(most + 1)
    except OSError as error:
        raise BundleError(f"'{path}' cannot be read: {error.strerror or error}. {_AGAIN}") from error
