"""Count what a listing of images ignored, so that it can be reported in one line."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from sskt_edge.common.printable import printable
from sskt_edge.common.text import first_of
from sskt_edge.images.formats import remedy

_MOST_ENDINGS = 4
_MOST_NAMES = 3


@dataclass
class LeftOut:
    """Counts of what a listing found and ignored.

    Attributes:
        endings: by ending, in lower case, the files inside class folders that do not count as images.
        folders: by name, the hidden folders and the system's own folders.
        hidden: hidden files with an image's ending, such as macOS's "._1.jpg".
        links: by name, links to a missing target, or to a folder that contains the link.
        outside: images outside all class folders.
    """

    endings: Counter[str] = field(default_factory=Counter)
    folders: Counter[str] = field(default_factory=Counter)
    hidden: int = 0
    links: Counter[str] = field(default_factory=Counter)
    outside: int = 0

    def __add__(self, other: LeftOut) -> LeftOut:
        return LeftOut(
            self.endings + other.endings,
            self.folders + other.folders,
            self.hidden + other.hidden,
            self.links + other.links,
            self.outside + other.outside,
        )

    def __str__(self) -> str:
        """Such as "12 .heic (needs: pip install pillow-heif), 2 other files (.txt)"; "" if nothing was ignored."""
        known = [ending for ending, _ in self.endings.most_common() if remedy(ending)]
        parts = [f"{self.endings[ending]:,} {ending} ({remedy(ending)})" for ending in known]
        others = Counter({ending: count for ending, count in self.endings.items() if not remedy(ending)})
        if others:
            named = [printable(ending) or "without an ending" for ending, _ in others.most_common()]
            parts.append(f"{_counted(others.total(), 'other file')} ({first_of(named, _MOST_ENDINGS)})")
        if self.outside:
            parts.append(f"{_counted(self.outside, 'image')} outside the class folders")
        if self.hidden:
            parts.append(_counted(self.hidden, "hidden image"))
        if self.links:
            parts.append(f"{_counted(self.links.total(), 'link')} that cannot be followed ({_named(self.links)})")
        if self.folders:
            parts.append(f"{_counted(self.folders.total(), 'hidden or system folder')} ({_named(self.folders)})")
        return ", ".join(parts)

    def notes(self, where: str = "") -> list[str]:
        """The line for a user, prefixed with `where`; no line if nothing was ignored."""
        return [f"{where}ignored: {self}"] if str(self) else []


def _named(names: Counter[str]) -> str:
    return first_of([f"'{printable(name)}'" for name, _ in names.most_common()], _MOST_NAMES)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
