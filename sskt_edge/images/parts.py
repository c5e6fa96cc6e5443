"""The parts of a data set, train/, val/ and test/, recognised by their folder names in any case."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from sskt_edge.common.errors import DataError
from sskt_edge.common.printable import printable
from sskt_edge.images.class_names import spelled
from sskt_edge.images.left_out import LeftOut
from sskt_edge.images.walk import has_images, images_below, must_be_folder, sub_folders

_WORD = re.compile(r"[^\W\d_]+")
_PARTS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def part_called(word: str) -> str | None:
    """The part that a word names, ignoring case: "train", "val" or "test"; None if it names none.

    >>> part_called("Training"), part_called("dog")
    ('train', None)
    """
    return _PARTS.get(word.casefold())


@dataclass(frozen=True)
class Parts:
    """A folder that is divided into parts.

    Attributes:
        root: the folder.
        found: part ("train", "val" or "test") → its folder, if it has class folders.
        bare: the folders that are named like a part but have no class folders.
        others: the names of the other folders.
        left_out: what else is in the folder.
    """

    root: Path
    found: dict[str, Path]
    bare: tuple[str, ...]
    others: tuple[str, ...]
    left_out: LeftOut

    @property
    def test(self) -> Path | None:
        """The folder of the test images: test/, or val/ if test/ is missing, as in ImageNet's own layout."""
        return self.found.get("test", self.found.get("val"))

    def notes(self, unlabelled: Path | None = None) -> list[str]:
        """Notes for the user on the choice of the folders: whether val/ is the test set, and which are not used.

        Args:
            unlabelled: a further folder that is used, wherever it is.
        """
        said = []
        if self.test is not None and "test" not in self.found:
            said.append(f"{self.test.name}/ is the test set, since no test/ with class folders was found")
        used = {path.name for path in (self.found.get("train"), self.test) if path is not None}
        if unlabelled is not None and unlabelled.resolve().is_relative_to(self.root.resolve()):
            used.update(unlabelled.resolve().relative_to(self.root.resolve()).parts[:1])
        unused = sorted({*(path.name for path in self.found.values()), *self.bare, *self.others} - used)
        if unused:
            is_val = "val" in self.found and self.found["val"].name in unused
            hint = "; data.validation holds out a share of the training images" if is_val else ""
            said.append(f"not used: {_listed(unused)}{hint}")
        return said

    def lacks(self, what: str) -> str:
        """A sentence on what the folder has and lacks, and why a folder that is named like a part does not count."""
        there = _listed([*(path.name for path in self.found.values()), *self.bare, *self.others])
        why = []
        for name in self.bare:
            left = images_below(self.root / name)[1]
            why.append(f"{printable(name)}/ has no sub-folders with images" + (f", but {left}" if str(left) else ""))
        reason = f" ({'; '.join(why)})" if why else ""
        return f"'{printable(self.root)}' has {there}, but {what}{reason}."


def find_parts(root: Path, classes: Collection[str] = ()) -> Parts | None:
    """The parts that a folder is divided into; None if its sub-folders are the classes themselves.

    "train" may also be the name of a class (the vehicle). It is a class if it holds images and no class folders, no
    other folder is named like a part, and there are at least two other folders (inside a part, one is enough).

    Args:
        root: the folder.
        classes: known class names: a folder with such a name and without class folders is a class.

    Raises:
        DataError: the folder does not exist, cannot be listed, has two folders for one part, or has folders that look
            like parts but are not named so.
    """
    must_be_folder(root)
    names, left = sub_folders(root)
    named = [name for name in names if name.casefold() in _PARTS]
    whole = {name for name in named if _has_class_folders(root / name)}
    named = [name for name in named if name in whole or spelled(name) not in classes]
    called: dict[str, str] = {}
    for name in named:
        before = called.setdefault(_PARTS[name.casefold()], name)
        if before != name:
            raise DataError(
                f"'{printable(root)}' has two folders for one part of a data set: '{before}' and '{name}'. "
                f"Move the images into one of them."
            )
    others = tuple(name for name in names if name.casefold() not in _PARTS)
    enough = 1 if root.absolute().name.casefold() in _PARTS else 2
    is_thing = not whole and [name.casefold() for name in named] == ["train"] and has_images(root / named[0])
    if not named:
        _refuse_likely_parts(root, names, classes)
    if not named or (is_thing and len(others) >= enough):
        return None
    found = {part: root / name for part, name in called.items() if name in whole}
    return Parts(root, found, tuple(name for name in named if name not in whole), others, left)


def _refuse_likely_parts(root: Path, names: Iterable[str], classes: Collection[str]) -> None:
    """Refuse folders such as training_set/ and test_set/ that contain class folders: they are not two classes."""
    likely: dict[str, str] = {}
    for name in names:
        part = _likely_part(name)
        if part is not None and spelled(name) not in classes and _has_class_folders(root / name):
            likely[name] = part
    if len(set(likely.values())) > 1:
        renamed = ", ".join(f"'{name}' to '{part}'" for name, part in likely.items())
        raise DataError(
            f"'{printable(root)}' has {_listed(likely)}, which look like parts of a data set, not like classes. "
            f"Rename them: {renamed}."
        )


def _likely_part(name: str) -> str | None:
    """The part that a word of a folder's name suggests: "training_set" → "train"."""
    found = {_PARTS[word] for word in _WORD.findall(name.casefold()) if word in _PARTS}
    return found.pop() if len(found) == 1 else None


def note_of_other_parts(root: Path) -> list[str]:
    """A line if `root` is itself a part of a data set and another part is next to it; else no line."""
    here = root.absolute()
    part = _PARTS.get(here.name.casefold(), "")
    if not part:
        return []
    try:
        names = [name for name in sub_folders(here.parent)[0] if _PARTS.get(name.casefold(), part) != part]
        others = [name for name in names if _has_class_folders(here.parent / name)]
    except DataError:  # folders next to `root` need not be readable
        return []
    return [f"not used: {_listed(others)} next to {here.name}/; to use both, name '{here.parent}'"] if others else []


def _has_class_folders(folder: Path) -> bool:
    return any(has_images(folder / name) for name in sub_folders(folder)[0])


def _listed(folders: Iterable[str]) -> str:
    return ", ".join(f"{printable(name)}/" for name in folders)
