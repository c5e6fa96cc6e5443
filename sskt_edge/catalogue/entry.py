"""One thing that a recipe can name, and where its code is."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sskt_edge.common.errors import MissingExtraError
from sskt_edge.common.packages import install_hint

if TYPE_CHECKING:
    from pydantic import BaseModel


@dataclass(frozen=True)
class Entry:
    """An entry of the catalogue, known without importing anything heavy.

    Attributes:
        name: what a recipe calls it.
        description: one line for `sskt-edge networks` and for messages.
        code: where its code is, "package.module:attribute".
        extras: the extras of sskt-edge that install the packages it needs in addition to those of the verb.
    """

    name: str
    description: str
    code: str
    extras: tuple[str, ...] = ()

    def load(self) -> Any:
        """Import its code.

        >>> Entry("pi", "a number", "math:pi").load()
        3.141592653589793

        Raises:
            MissingExtraError: a package of its extras is not installed.
        """
        try:
            return loaded(self.code)
        except ModuleNotFoundError as error:
            if not self.extras:
                raise
            needed = f"'{self.name}' needs {error.name}, which is not installed"
            raise MissingExtraError(f"{needed}: {install_hint(*self.extras)}.") from error


@dataclass(frozen=True)
class OptionsEntry(Entry):
    """An entry whose table in a recipe has keys of its own, such as a method.

    Attributes:
        options: where the model of its table is; nothing heavy is imported for it.
    """

    options: str = ""

    def options_model(self) -> type[BaseModel]:
        """The model of its table."""
        model: type[BaseModel] = loaded(self.options)
        return model


def loaded(code: str) -> Any:
    """The attribute that "package.module:attribute" names, imported."""
    module, _, attribute = code.partition(":")
    return getattr(import_module(module), attribute)
