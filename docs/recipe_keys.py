"""Every key of a recipe as Markdown, from the JSON schema of its models: the page is made when the site is built."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from sskt_edge.recipe.models import Recipe

Schema = dict[str, Any]
_RANGE = {"minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "exclusiveMaximum": "< {}"}


class Key(NamedTuple):
    """One key of a table: as it is written, what it takes, what it is if left out, and what it means."""

    name: str
    takes: str
    default: str
    meaning: str


class Table(NamedTuple):
    """One table of a recipe.

    Attributes:
        place: its dotted name, such as "train.optimizer"; of an element of an array "sources.NAME".
        kind: the `name` that chooses this table of several in the same place; else "".
        meaning: what it is about.
        keys: in the order of its model.
    """

    place: str
    kind: str
    meaning: str
    keys: tuple[Key, ...]


def recipe_tables() -> list[Table]:
    """All tables of a recipe, in the order of its models.

    >>> [table.place for table in recipe_tables()][:3]
    ['', 'data', 'data.augment']
    """
    schema = Recipe.model_json_schema()
    return list(_tables("", "", schema, schema["$defs"]))


def recipe_keys() -> set[str]:
    """Every key as `--set` takes it: "train.optimizer.lr"; an element of an array by NAME, "sources.NAME.model"."""
    return {f"{table.place}.{key.name}".lstrip(".") for table in recipe_tables() for key in table.keys}


def as_markdown() -> str:
    """A heading and a table for each table of a recipe."""
    lines: list[str] = []
    for table in recipe_tables():
        lines += [f"### {_heading(table)}", "", *_sentences(table.meaning)]
        lines += ["| key | takes | default | meaning |", "|---|---|---|---|"]
        lines += [f"| `{key.name}` | {key.takes} | {key.default} | {key.meaning} |" for key in table.keys]
        lines += [""]
    return "\n".join(lines)


class RecipeKeys(SphinxDirective):
    """The directive `recipe-keys`: all tables of a recipe."""

    def run(self) -> list[nodes.Node]:
        """The tables as the nodes of the page."""
        return self.parse_text_to_nodes(as_markdown(), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """What Sphinx calls to load the extension."""
    app.add_directive("recipe-keys", RecipeKeys)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _heading(table: Table) -> str:
    """The table as a recipe opens it."""
    if not table.place:
        return "At the top"
    name, in_array, _ = table.place.partition(".NAME")
    return f"`[[{name}]]`" if in_array else f"`[{name}]`" + (f', `name = "{table.kind}"`' if table.kind else "")


def _tables(place: str, kind: str, schema: Schema, defs: Schema) -> Iterator[Table]:
    """The table of a schema, then those of the schemas within it."""
    keys, inner = [], []
    for name, field in schema.get("properties", {}).items():
        below = _models_in(field, defs)
        inner += [(_join(place, name, field), model) for model in below]
        if not below:
            keys.append(_key(name, field, defs, required=name in schema.get("required", ())))
    if keys:
        yield Table(place, kind, schema.get("description", ""), tuple(keys))
    several = {path for path, _ in inner if sum(path == other for other, _ in inner) > 1}
    for path, model in inner:
        own = model.get("properties", {}).get("name", {}).get("const", "") if path in several else ""
        yield from _tables(path, own, model, defs)


def _join(place: str, name: str, field: Schema) -> str:
    path = f"{place}.{name}" if place else name
    return f"{path}.NAME" if field.get("type") == "array" else path


def _models_in(field: Schema, defs: Schema) -> list[Schema]:
    """The models that a field may hold, each once."""
    found = []
    for part in (field, *field.get("anyOf", ()), *field.get("oneOf", ())):
        for schema in (part, part.get("items", {})):
            model = _resolved(schema, defs)
            if "properties" in model and model not in found:
                found.append(model)
    return found


def _resolved(schema: Schema, defs: Schema) -> Schema:
    """The schema itself, or the one that it refers to."""
    ref = schema.get("$ref")
    return defs[ref.rpartition("/")[2]] if ref else schema


def _key(name: str, field: Schema, defs: Schema, *, required: bool) -> Key:
    default = "*needed*" if required else _value(field.get("default"))
    return Key(name, _takes(field, defs), default, _cell(field.get("description", "")))


def _takes(field: Schema, defs: Schema) -> str:
    """The type and range of a field, or its choices."""
    field = _resolved(field, defs)
    if "anyOf" in field or "oneOf" in field:
        parts = [part for part in field.get("anyOf", field.get("oneOf")) if part.get("type") != "null"]
        return " or ".join(dict.fromkeys(_takes(part, defs) for part in parts))
    if "const" in field:
        return _value(field["const"])
    if "enum" in field:
        return ", ".join(map(_value, field["enum"]))
    if field.get("type") == "array":
        several = field.get("prefixItems")
        return f"{len(several)} of: {_takes(several[0], defs)}" if several else f"list: {_takes(field['items'], defs)}"
    limits = [shown.format(f"{field[key]:g}") for key, shown in _RANGE.items() if key in field and field[key] < 2**31]
    return ", ".join([field.get("type", "table").replace("object", "table"), *limits])


def _value(value: object) -> str:
    return "–" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;") or "–"


def _sentences(text: str) -> list[str]:
    """The paragraphs of a docstring, without what it says of attributes."""
    paragraphs = text.partition("\nAttributes:")[0].split("\n\n")
    return [line for paragraph in paragraphs if paragraph.strip() for line in (_cell(paragraph), "")]
