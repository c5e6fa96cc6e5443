"""The paths that a recipe names: resolve them, and check that they exist before anything slow starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sskt_edge.catalogue.data_sets import DATA_SETS, unlabelled_words
from sskt_edge.catalogue.sources import SOURCES
from sskt_edge.common.errors import CheckpointError, DataError, InputError, NetworkError, RunError, nearest
from sskt_edge.recipe.models import DataOptions, Recipe

_DEFAULT_ROOT = DataOptions.model_fields["root"].default
_IN_MODEL = tuple(
    f"{entry.name}/" for entry in SOURCES.values() if entry.is_path
)  # a source's model may name a file or folder after one of these


def found_beside(tree: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Resolve the relative paths of a recipe file that exist only in the file's own folder.

    Args:
        tree: unchecked tables; values of an unexpected type are not changed.
        folder: the folder of the recipe file.
    """
    if folder == Path():
        return tree
    for table, key, before, path in list(_paths_in(tree)):
        if not path.is_absolute() and not path.exists() and (folder / path).exists():
            table[key] = before + (folder / path).as_posix()
    return tree


def _paths_in(tree: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, str, Path]]:
    """Yield (table, key, prefix before the path, path) for each input that the tables name by a path."""
    data, target, sources = tree.get("data"), tree.get("target"), tree.get("sources")
    places: list[tuple[Any, str]] = [(data, "root"), (data, "unlabelled"), (target, "checkpoint")]
    for source in sources if isinstance(sources, list) else ():
        places += [(source, "checkpoint"), (source, "model")]
    for table, key in places:
        if not isinstance(table, dict):
            continue
        default = _DEFAULT_ROOT if key == "root" and _has_own_files(table.get("name")) else None
        text = table.get(key, default)
        if not isinstance(text, str) or (key == "unlabelled" and text in ("", *unlabelled_words())):
            continue
        before = next((start for start in _IN_MODEL if text.startswith(start)), "") if key == "model" else ""
        if key != "model" or before:
            yield table, key, before, Path(text.removeprefix(before))


def check_paths(recipe: Recipe, recipe_file: Path | None, resumed: bool = False) -> None:
    """Check that every path in the recipe exists. Data sets with a name of their own may still be downloaded.

    Args:
        recipe: the loaded recipe.
        recipe_file: where it was loaded from; its folder was searched too. None for the recipe of a run.
        resumed: the recipe belongs to a run that is resumed, so no path in it may change.

    Raises:
        InputError: a DataError, CheckpointError, NetworkError or RunError that names the key and both places.
    """
    wanted: list[tuple[str, str, type[InputError]]] = []
    if _has_own_files(recipe.data.name):
        wanted.append(("data.root", recipe.data.root, DataError))
    if recipe.data.unlabelled not in ("", *unlabelled_words()):
        wanted.append(("data.unlabelled", recipe.data.unlabelled, DataError))
    if recipe.target.checkpoint:
        wanted.append(("target.checkpoint", recipe.target.checkpoint, CheckpointError))
    for source in recipe.active_sources:
        if source.checkpoint:
            wanted.append((f"sources.{source.name}.checkpoint", source.checkpoint, CheckpointError))
        kind, _, path = source.model.partition("/")
        if SOURCES[kind].is_path:
            wanted.append((f"sources.{source.name}.model", path, RunError if kind == "run" else NetworkError))
    for key, text, error in wanted:
        if not Path(text).exists():
            todo = "Put it back there." if resumed else f"Correct it: --set {key}=PATH."
            raise error(f"{_missing(key, text, recipe_file)}{todo}")


def _has_own_files(name: object) -> bool:
    return isinstance(name, str) and name in DATA_SETS and DATA_SETS[name].own_files


def _missing(key: str, text: str, recipe_file: Path | None) -> str:
    """A sentence on what is missing and where it was looked up, and the nearest name there."""
    path, here = Path(text), Path.cwd()
    its_folder = here if recipe_file is None else recipe_file.resolve().parent
    where = f"in the current folder, '{here}'"
    if path.is_absolute():
        where = f"in '{path.parent}'"
    elif its_folder != here and not (its_folder / path).exists():  # a path from --set is not looked up there
        where += f", or in the recipe's, '{its_folder}'"
    near = nearest(path.name, [*_names_in(path.parent), *_names_in(its_folder / path.parent)])
    return f"{key} = '{text}': no file or folder of that name was found {where}. {near}"


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError:
        return []
