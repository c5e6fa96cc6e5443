"""Class names from folder names: which names are refused, and when two spellings are the same name."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path

from sskt_edge.common.errors import DataError
from sskt_edge.common.printable import UNPRINTABLE, printable


def spelled(name: str) -> str:
    """A class name in NFC: macOS may store "é" as two characters where Linux stores one."""
    return unicodedata.normalize("NFC", name)


def class_folders(root: Path, folders: Iterable[str]) -> dict[str, Path]:
    """Class name → its folder, sorted by name.

    Joiners and spaces of any kind are allowed in a name: Persian and emoji need them.

    Args:
        root: the folder that holds the class folders.
        folders: their names in the file system.

    Raises:
        DataError: a name is not UTF-8 or holds a control or bidi override character, or two folders are the same class.
    """
    found: dict[str, Path] = {}
    for folder in sorted(folders):
        if UNPRINTABLE.search(folder):
            raise DataError(
                f"'{printable(root)}': the folder {_escaped(folder)} cannot name a class: its name is not UTF-8, or "
                f"it has a control character or one that changes the direction of text. Rename it."
            )
        name = spelled(folder)
        if name in found:
            raise DataError(
                f"'{printable(root)}': the folders {_escaped(found[name].name)} and {_escaped(folder)} spell the "
                f"same class, '{name}', in two ways (Unicode NFC and NFD). Move the images into one of them."
            )
        found[name] = root / folder
    return dict(sorted(found.items()))


def _escaped(name: str) -> str:
    r"""ASCII alone, in quotes: 'cafe\u0301'; 'caf\xe9' for a byte that is not UTF-8."""
    return "".join(letter if letter.isascii() and letter.isprintable() else _escape(letter) for letter in name).join(
        "''"
    )


def _escape(letter: str) -> str:
    return printable(letter) if unicodedata.category(letter) == "Cs" else f"\\u{ord(letter):04x}"
