"""One thing that a recipe can choose: what it is, what it needs, and where its code is, which it does not import."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Entry:
    """A choice, known without its code.

    Attributes:
        name: as the recipe spells it.
        description: what it is, in one line.
        code: where it is, as "module:attribute".
        extras: those of sskt-edge that its code needs.
    """

    name: str
    description: str
    code: str
    extras: tuple[str, ...] = ()

    def load(self) -> Any:
        """Import the code, and give what it is."""
        module, _, attribute = self.code.partition(":")
        return getattr(importlib.import_module(module), attribute)
