"""Keys of a recipe that choose from the catalogue: a name, or a table whose `name` determines its other keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, SerializationInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from sskt_edge.catalogue.entry import Entry, OptionsEntry
from sskt_edge.common.errors import nearest


def unknown(name: object, known: Mapping[str, object]) -> PydanticCustomError:
    """The error for a name that is not in the catalogue."""
    text = f"unknown value '{name}'. {nearest(str(name), known)}Known: {', '.join(known)}"
    return PydanticCustomError(
        "unknown_name", "{text}", {"text": text}
    )  # a template, so that braces are not interpreted


@dataclass(frozen=True)
class NameIn:
    """A string that names an entry of the catalogue; entries may be added at any time.

    Attributes:
        entries: the entries that may be named.
        others: other words that are allowed too, such as "auto".
    """

    entries: Mapping[str, Entry]
    others: tuple[str, ...] = ()

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A string that is checked against the current entries."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The string's schema, with the names."""
        return {**handler(schema), "enum": [*self.others, *self.entries]}

    def _check(self, name: str) -> str:
        if name not in self.entries and name not in self.others:
            raise unknown(name, {**dict.fromkeys(self.others), **self.entries})
        return name


@dataclass(frozen=True)
class TableIn:
    """A table whose `name` is that of an entry; the entry's model defines its other keys.

    Attributes:
        entries: the entries that may be chosen.
        default: the name to assume if the table gives none, so that `--set method.alpha=1` works by itself.
    """

    entries: Mapping[str, OptionsEntry]
    default: str

    def model_for(self, table: object) -> type[BaseModel] | None:
        """The model of a table by its `name`; None if the name is unknown."""
        name = table.get("name", self.default) if isinstance(table, dict) else self.default
        entry = self.entries.get(name) if isinstance(name, str) else None
        return None if entry is None else entry.options_model()

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A table, checked by the model of the entry that it names, and serialized with all keys of that model."""
        del source, handler
        return core_schema.no_info_plain_validator_function(
            self._check, serialization=core_schema.plain_serializer_function_ser_schema(_written, info_arg=True)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """One schema for each entry."""
        del schema
        return {"anyOf": [handler(entry.options_model().__pydantic_core_schema__) for entry in self.entries.values()]}

    def _check(self, given: object) -> BaseModel:
        if isinstance(given, BaseModel):
            return given
        if not isinstance(given, dict):
            raise PydanticCustomError("table", "expected a table with a name")
        model = self.model_for(given)
        if model is None:
            raise unknown(given.get("name"), self.entries)
        return model.model_validate({"name": self.default, **given})


def _written(table: BaseModel, info: SerializationInfo) -> dict[str, Any]:
    return table.model_dump(mode=info.mode, exclude_none=info.exclude_none, exclude_unset=info.exclude_unset)
