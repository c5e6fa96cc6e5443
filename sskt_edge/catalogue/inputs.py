"""The kinds of input: what one item of a data set is, and how it is fed to a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sskt_edge.catalogue.entry import Entry, loaded


@dataclass(frozen=True)
class InputEntry(Entry):
    """A kind of input; its code is an object with the methods of `data.inputs.input.Input`.

    A data set's entry names the kind of its items, and a bundle's manifest that of its network.

    Attributes:
        files: where the `images.read.FileReader` of its files is, "package.module:attribute"; "" if its files cannot be
            read: then eval uses only the golden set, predict is not available, and bench does not time reading.
    """

    files: str = ""

    def file_reader(self) -> Any:
        """The reader of its files; None if its files cannot be read."""
        return loaded(self.files) if self.files else None


INPUTS: dict[str, InputEntry] = {
    entry.name: entry
    for entry in (
        InputEntry(
            "image",
            "a square of RGB pixels",
            "sskt_edge.data.inputs.image.image:IMAGE",
            files="sskt_edge.images.read:SQUARES",
        ),
    )
}
