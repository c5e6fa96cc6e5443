"""Turn TOML and --set into a checked recipe, or into one message that names every wrong key."""

from __future__ import annotations

import codecs
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sskt_edge.catalogue.methods import METHODS
from sskt_edge.common.errors import RecipeError
from sskt_edge.common.printable import is_utf8, printable
from sskt_edge.recipe.faults import explain
from sskt_edge.recipe.models import Recipe
from sskt_edge.recipe.older import from_older, moved
from sskt_edge.recipe.paths import found_beside
from sskt_edge.recipe.shipped import find_recipe

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


_METHOD, _DEFAULT = "method.name", "sskt"
_MAX_CHARACTERS = 1 << 15  # the cost of a dotted key in tomllib grows with the square of its length
_MAX_DEPTH = 16
_MAX_BITS = 64
_TOO_DEEP = f"its tables or arrays are nested more than {_MAX_DEPTH} deep. Write them flat."
_TOO_LARGE = f"it holds an integer of more than {_MAX_BITS} bits, the most that TOML allows. Write a smaller one."


def load_recipe(path_or_name: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file, or a shipped recipe by its name, and apply `a.b=c` overrides.

    A relative path in the file, such as data.root, is looked up in the current folder, then in the file's own folder.
    A path in an override is relative to the current folder.

    >>> load_recipe("quickstart", ["train.epochs=10"]).train.epochs
    10

    Raises:
        RecipeError: no such file, not TOML, or keys that are unknown, missing or of the wrong kind (all of them named).
    """
    path = find_recipe(path_or_name)
    tree = read_toml(read_text(path), where=str(path))
    return apply_overrides(found_beside(tree, path.parent), overrides, where=str(path))


def run_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Load the recipe.toml of a run of any version: the values that it was trained with, with its paths unchanged.

    Raises:
        RecipeError: as load_recipe.
    """
    return parse_run_recipe(read_text(path), overrides, where=str(path))


def parse_run_recipe(text: str, overrides: Sequence[str] = (), where: str = "recipe.toml") -> Recipe:
    """Check the text of a run's recipe.toml, of any version.

    Raises:
        RecipeError: as load_recipe.
    """
    return apply_overrides(from_older(read_toml(text, where)), overrides, where)


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
            f"'{path}' is UTF-16 text, as written by > in Windows PowerShell; a recipe must be UTF-8. Save it as UTF-8 "
            f"in an editor, or write it with: | Out-File -Encoding utf8 FILE"
        )
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"'{path}' is not a recipe: it is not UTF-8 text (byte {error.start}). Save it as UTF-8 in an editor."
        ) from error


def parse_recipe(text: str, overrides: Sequence[str] = (), where: str = "recipe") -> Recipe:
    """Check the TOML text of a recipe with `a.b=c` overrides. Its paths are kept as written.

    Raises:
        RecipeError: as load_recipe.
    """
    return apply_overrides(read_toml(text, where), overrides, where)


def read_toml(text: str, where: str) -> dict[str, Any]:
    """The TOML text of a recipe → its tables, unchecked.

    Raises:
        RecipeError: it is too long, or not TOML.
    """
    if len(text) > _MAX_CHARACTERS:
        raise RecipeError(f"'{where}' is not a recipe: it has more than {_MAX_CHARACTERS} characters. Check the path.")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"'{where}' is not TOML: {error}.") from error
    except RecursionError as error:
        raise RecipeError(f"'{where}' is not a recipe: {_TOO_DEEP}") from error
    except ValueError as error:  # Python's own limit, for a number of thousands of digits
        raise RecipeError(f"'{where}' is not a recipe: {_TOO_LARGE}") from error


def apply_overrides(tree: dict[str, Any], overrides: Sequence[str], where: str) -> Recipe:
    """Apply `a.b=c` overrides to a recipe's values, given as plain tables, and check them; the tables are modified.

    Raises:
        RecipeError: as load_recipe.
    """
    # The method comes first, since another method leaves out the options of the one before.
    for override in sorted(overrides, key=lambda one: _key(one) != _METHOD):
        _set_value(tree, override)
    _refuse_odd(tree, where)
    if lines := moved(tree):
        raise RecipeError(f"'{where}' is written for an older sskt-edge:\n" + "\n".join(f"  {line}" for line in lines))
    try:
        return Recipe.model_validate(tree)
    except ValidationError as error:
        raise RecipeError(explain(error, tree, where)) from None


def recipe_sha256(recipe: Recipe) -> str:
    """The identity of a checked recipe: the SHA-256 of its values, including defaults, not of its text."""
    canonical = json.dumps(recipe.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _set_value(tree: dict[str, Any], override: str) -> None:
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
        if key.strip() == _METHOD:
            _leave_out_options(node, _value(text))
        node[last] = _value(text)
    else:
        raise RecipeError(f"--set {override}: '{'.'.join(parents)}' is not a table and has no keys.")


def _key(override: str) -> str:
    return override.partition("=")[0].strip()


def _leave_out_options(table: dict[str, Any], method: object) -> None:
    """Drop the options of [method] if another method is named: a weight or a temperature belongs to its method.

    The sources stay, if the other method has any.
    """
    if method in METHODS and method != table.get("name", _DEFAULT):
        kept = {"sources"} & METHODS[str(method)].options_model().model_fields.keys()
        for key in table.keys() - kept:
            del table[key]


def _step(node: Any, name: str, override: str) -> Any:
    """The child `name` of a table (created if absent), or the element of an array of tables by number or by name."""
    if isinstance(node, dict):
        return node.setdefault(name, {})
    if isinstance(node, list):
        for place, element in enumerate(node):
            if str(place) == name or (isinstance(element, dict) and element.get("name") == name):
                return element
        raise RecipeError(f"--set {override}: no element '{name}'; there are {len(node)}, counted from 0.")
    raise RecipeError(f"--set {override}: '{name}' cannot be set there: its parent is not a table.")


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text.strip()


def _refuse_odd(value: Any, where: str, depth: int = 0) -> None:
    """Refuse values that no recipe holds and no message could show."""
    if depth > _MAX_DEPTH:
        raise RecipeError(f"'{where}' is not a recipe: {_TOO_DEEP}")
    if isinstance(value, str) and not is_utf8(value):
        raise RecipeError(
            f"'{where}': '{printable(value)}' is not UTF-8, as every text in a recipe must be. Rename it."
        )
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        raise RecipeError(f"'{where}' is not a recipe: {_TOO_LARGE}")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _refuse_odd(inner, where, depth + 1)
