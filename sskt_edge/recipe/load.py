"""From TOML and --set to a checked recipe, or to one message that names every wrong key."""

from __future__ import annotations

import codecs
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from sskt_edge.errors import RecipeError, closeness, is_close, nearest
from sskt_edge.recipe.models import Recipe
from sskt_edge.recipe.paths import found_beside
from sskt_edge.recipe.shipped import find_recipe
from sskt_edge.runtime.printable import is_utf8, printable

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


# pydantic puts the kind of an optimizer or a schedule into the place of a fault; users do not.
_KINDS = {"sgd", "adamw", "cosine", "steps", "plateau"}

_MAX_CHARACTERS = 1 << 15  # what tomllib needs for a dotted key grows with the square of its length
_MAX_DEPTH = 16
_MAX_BITS = 64
_TOO_DEEP = f"its tables or arrays stand more than {_MAX_DEPTH} deep in each other. Write them flat."
_TOO_LARGE = f"it holds an integer of more than the {_MAX_BITS} bits that TOML has. Write a smaller one."

# Where a key takes one of two types, pydantic says what is wrong with the value as either; users want one sentence.
_EITHER = {
    "data.validation": "a share from 0 to below 1, or 'rest'",
    "labels.views": "a number of at least 1, or 'fresh'",
    "labels.store": "a folder, or false",
}


def load_recipe(path_or_name: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file, or a shipped recipe by its name, with `a.b=c` overrides laid over it.

    A relative path in the file, such as data.root, is looked for in the current folder, then in the file's own folder.
    A path in an override is relative to the current folder.

    Raises:
        RecipeError: no such file, not TOML, or keys that are unknown, missing or of the wrong kind (all of them named).
    """
    path = find_recipe(path_or_name)
    tree = read_toml(read_text(path), where=str(path))
    return lay_over(found_beside(tree, path.parent), overrides, where=str(path))


def run_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe.toml of a run: every value that it was trained with, its paths as they stand there.

    Raises:
        RecipeError: as load_recipe.
    """
    return parse_recipe(read_text(path), overrides, where=str(path))


def read_text(path: Path) -> str:
    """A recipe file's text, without the byte-order mark that some editors put before it.

    Raises:
        RecipeError: it cannot be read, or is not UTF-8.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RecipeError(f"Cannot read the recipe '{path}': {error.strerror}.") from error
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise RecipeError(
            f"'{path}' is UTF-16 text, as Windows PowerShell's > writes it; a recipe is UTF-8. Save it as UTF-8 in an "
            f"editor, or write it with: | Out-File -Encoding utf8 FILE"
        )
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"'{path}' is not a recipe: it is not UTF-8 text (byte {error.start}). Save it as UTF-8 in an editor."
        ) from error


def parse_recipe(text: str, overrides: Sequence[str] = (), where: str = "recipe") -> Recipe:
    """Check the TOML text of a recipe with `a.b=c` overrides laid over it. Its paths stay as they are written.

    Raises:
        RecipeError: as load_recipe.
    """
    return lay_over(read_toml(text, where), overrides, where)


def read_toml(text: str, where: str) -> dict[str, Any]:
    """The TOML text of a recipe → its tables, unchecked.

    Raises:
        RecipeError: it is too long, or not TOML.
    """
    if len(text) > _MAX_CHARACTERS:
        raise RecipeError(f"'{where}' is no recipe: it has more than {_MAX_CHARACTERS} characters. Check the path.")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"'{where}' is not TOML: {error}.") from error
    except RecursionError as error:
        raise RecipeError(f"'{where}' is no recipe: {_TOO_DEEP}") from error
    except ValueError as error:  # Python's own, of a number of thousands of digits
        raise RecipeError(f"'{where}' is no recipe: {_TOO_LARGE}") from error


def lay_over(tree: dict[str, Any], overrides: Sequence[str], where: str) -> Recipe:
    """Check a recipe's values, as plain tables, with `a.b=c` overrides laid over them; the tables are changed.

    Raises:
        RecipeError: as load_recipe.
    """
    for override in overrides:
        _lay_over(tree, override)
    _refuse_odd(tree, where)
    try:
        return Recipe.model_validate(tree)
    except ValidationError as error:
        raise RecipeError(_explain(error, where)) from None


def recipe_sha256(recipe: Recipe) -> str:
    """The identity of a checked recipe: SHA-256 over its values, defaults included, not over its text."""
    canonical = json.dumps(recipe.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _lay_over(tree: dict[str, Any], override: str) -> None:
    """Set `a.b.0.c=value` in a parsed TOML tree; the value is TOML, or else a plain string."""
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set {override}: expected KEY=VALUE, such as --set train.epochs=10.")
    *parents, last = key.strip().split(".")
    node: Any = tree
    for name in parents:
        node = _step(node, name, override)
    if isinstance(node, list):
        node[node.index(_step(node, last, override))] = _value(text)
    elif isinstance(node, dict):
        node[last] = _value(text)
    else:
        raise RecipeError(f"--set {override}: '{'.'.join(parents)}' holds no keys.")


def _step(node: Any, name: str, override: str) -> Any:
    """The child `name` of a table (made if absent) or the element of an array of tables, by number or by its name."""
    if isinstance(node, dict):
        return node.setdefault(name, {})
    if isinstance(node, list):
        for place, element in enumerate(node):
            if str(place) == name or (isinstance(element, dict) and element.get("name") == name):
                return element
        raise RecipeError(f"--set {override}: no element '{name}'; there are {len(node)}, counted from 0.")
    raise RecipeError(f"--set {override}: '{name}' has no place there.")


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text.strip()


def _refuse_odd(value: Any, where: str, depth: int = 0) -> None:
    """Refuse what no recipe holds and what no message could show."""
    if depth > _MAX_DEPTH:
        raise RecipeError(f"'{where}' is no recipe: {_TOO_DEEP}")
    if isinstance(value, str) and not is_utf8(value):
        raise RecipeError(f"'{where}': a recipe is UTF-8 text, which '{printable(value)}' is not. Rename the folder.")
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        raise RecipeError(f"'{where}' is no recipe: {_TOO_LARGE}")
    if isinstance(value, str) and not is_utf8(value):
        raise RecipeError(f"'{where}': '{value}' is not UTF-8, as every text in a recipe must be. Rename it.")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _refuse_odd(inner, where, depth + 1)


def _explain(error: ValidationError, where: str) -> str:
    """One message for all that is wrong, each line with its dotted key."""
    lines = dict.fromkeys(_explain_one(dict(fault)) for fault in error.errors())
    return f"'{where}' is not a valid recipe:\n" + "\n".join(f"  {line}" for line in lines)


def _explain_one(fault: dict[str, Any]) -> str:
    steps = [str(step) for step in fault["loc"]]
    place = [step for step in steps if step not in _KINDS]
    key = ".".join(place)
    for either, wanted in _EITHER.items():
        if key.startswith(f"{either}.") or key == either:
            return f"{either}: {wanted}, got {fault['input']!r}."
    message: str = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        known = _keys_at(Recipe, steps[:-1])
        near = _nearest_key(key, known)
        return f"{key}: unknown key. {near}Known here: {', '.join(known)}."
    if fault["type"] == "missing":
        return f"{key}: this key is needed."
    if fault["type"] == "literal_error":
        options = str(fault["ctx"]["expected"])
        names = [option.strip("'") for option in options.replace(" or ", ", ").split(", ")]
        return f"{key}: unknown value '{fault['input']}'. {nearest(str(fault['input']), names)}Known: {options}."
    if key == "" or fault["type"] == "value_error":
        return f"{key}: {message}." if key else f"{message}."
    got = repr(fault["input"])
    return f"{key}: {message}, got {got if len(got) < 80 else got[:77] + '...'}."


def _keys_at(model: Any, steps: Sequence[str]) -> list[str]:
    """The keys that the model reached by `steps` knows, whatever unions and tuples stand on the way."""
    found = [model]
    for step in steps:
        if step in _KINDS:
            found = [m for m in found if step in get_args(m.model_fields["name"].annotation)]
        elif not step.isdigit():
            models = [m for m in found if isinstance(m, type) and issubclass(m, BaseModel) and step in m.model_fields]
            found = [part for m in models for part in _models_in(m.model_fields[step].annotation)]
    return sorted({key for m in found for key in m.model_fields})


def _nearest_key(key: str, known: Sequence[str]) -> str:
    """`Nearest: 'train.epochs'. `: of the keys known in the same table, or of another table where that is closer."""
    last = key.rpartition(".")[2]
    here = max(known, key=lambda name: closeness(last, name), default="")
    elsewhere = {other: other.rpartition(".")[2] for other in _dotted_keys(Recipe) if other != key}
    name = max(elsewhere.values(), key=lambda name: closeness(last, name))
    if closeness(last, here) >= closeness(last, name) or not is_close(last, name):
        return nearest(last, known)
    return f"Nearest: {', '.join(repr(other) for other, its in elsewhere.items() if its == name)}. "


def _dotted_keys(model: type[BaseModel], above: str = "") -> list[str]:
    """Every key of a recipe: "train.optimizer.lr"; of an array of tables, such as sources, its first element's."""
    keys = []
    for name, field in model.model_fields.items():
        below = _models_in(field.annotation)
        in_array = "tuple" in str(field.annotation)
        keys += [f"{above}{name}"] if not below else []
        for part in below:
            keys += _dotted_keys(part, f"{above}{name}.0." if in_array else f"{above}{name}.")
    return list(dict.fromkeys(keys))


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
