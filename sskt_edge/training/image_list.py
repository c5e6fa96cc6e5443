"""images.tsv: the files that a run learns from, so that a resumed run can say which of them changed.

Each line has a file's role, name, class and the beginning of its content's SHA-256, separated by tabs. The list decides
nothing: the hash in environment.json determines whether images changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from sskt_edge.common.files import write_atomically
from sskt_edge.common.text import first_of
from sskt_edge.data.images import ImageSet
from sskt_edge.tasks.task import Task

_DIGITS = 16  # of a hash; enough to distinguish two contents of one name
_SHOWN = 3


class _File(NamedTuple):
    class_name: str
    digest: str


def write_image_list(path: Path, parts: Mapping[str, ImageSet], task: Task, classes: Sequence[str]) -> None:
    """List the images of each part, role → images, by file.

    Raises:
        StorageError: it cannot be written.
    """
    lines = [
        f"{role}\t{name}\t{file.class_name}\t{file.digest}\n"
        for role, images in parts.items()
        for name, file in _files(images, task, classes)
    ]
    write_atomically(path, "".join(lines).encode())


def changed_images(path: Path, parts: Mapping[str, ImageSet], task: Task, classes: Sequence[str]) -> str:
    """The differences from the list, such as "1 changed (cat/a.jpg), 1 added (cat/b.jpg)"; "" if they are unknown.

    Args:
        path: the list that was written when the run was started.
        parts: role → current images; other roles in the list are ignored.
        task: the task that says what their labels mean.
        classes: the current class names.
    """
    try:
        rows = [line.split("\t") for line in path.read_text(encoding="utf-8").split("\n") if line]
        before = {name: _File(class_name, digest) for role, name, class_name, digest in rows if role in parts}
    except (OSError, ValueError):  # a run of an older version has none
        return ""
    now = {name: file for images in parts.values() for name, file in _files(images, task, classes)}
    both = before.keys() & now.keys()
    found = {
        "changed": [name for name in now if name in both and now[name] != before[name]],
        "removed": [name for name in before if name not in both],
        "added": [name for name in now if name not in both],
    }
    return ", ".join(f"{len(names):,} {what} ({first_of(names, _SHOWN)})" for what, names in found.items() if names)


def _files(images: ImageSet, task: Task, classes: Sequence[str]) -> Iterator[tuple[str, _File]]:
    for name, shown, digest in zip(images.names, task.named(images.labels, classes), images.hashes, strict=True):
        plain = name.replace("\t", " ").replace("\n", " ")
        yield plain, _File(shown, digest.tobytes().hex()[:_DIGITS])
