"""Keys of a recipe that choose from the catalogue: a name, or a table whose `name` says which other keys it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from sskt_edge.catalogue.entry import Entry
from sskt_edge.common.errors import nearest


def unknown(name: object, known: Mapping[str, object]) -> PydanticCustomError:
    """The fault of a name that the catalogue does not have."""
    text = f"unknown value '{name}'. {nearest(str(name), known)}Known: {', '.join(known)}"
    return PydanticCustomError("unknown_name", "{text}", {"text": text})  # a template, so that braces stay as they are


@dataclass(frozen=True)
class NameIn:
    """A string that is the name of an entry; entries may be added at any time."""

    entries: Mapping[str, Entry]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A string, checked against the entries of now."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The string's schema, with the names."""
        return {**handler(schema), "enum": list(self.entries)}

    def _check(self, name: str) -> str:
        if name not in self.entries:
            raise unknown(name, self.entries)
        return name
