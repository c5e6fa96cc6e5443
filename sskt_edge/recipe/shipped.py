"""The recipes that come with the package, found by name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sskt_edge.common.artefacts import what_it_is
from sskt_edge.common.errors import RecipeError, closeness, is_close, nearest
from sskt_edge.common.shell import command

_PACKAGE = Path(__file__).resolve().parent.parent


def recipes_folder() -> Path:
    """The folder of the shipped recipes: inside an installed wheel, or next to the package in a checkout."""
    inside = _PACKAGE / "shipped" / "recipes"
    return inside if inside.is_dir() else _PACKAGE.parent / "recipes"


def shipped_recipes() -> dict[str, Path]:
    """Name → file, sorted by name."""
    return {path.stem: path for path in sorted(recipes_folder().glob("*.toml"))}


def find_recipe(path_or_name: str) -> Path:
    """The file itself if it exists, else the shipped recipe of that name.

    Raises:
        RecipeError: neither exists, or it is a run or a bundle; the message names the nearest recipe.
    """
    path = Path(path_or_name)
    if path.is_file():
        return path
    if path_or_name and path.is_dir():
        new = command("recipe", "new", "--data", path)
        images = f"It is a folder. If it holds images, write a recipe for them: {new}"
        raise RecipeError(f"No recipe at '{path_or_name}'. {what_it_is(path) or images}")
    shipped = shipped_recipes()
    name = path.name.removesuffix(".toml")
    if path.parent in {Path(), Path("recipes")} and name in shipped:
        return shipped[name]
    raise RecipeError(
        f"No recipe '{path_or_name}': the file does not exist, and no shipped recipe has that name. "
        f"{_nearest_recipe(path, shipped)}"
        f"To list the shipped recipes: sskt-edge recipe list. "
        f"To write one for your images: sskt-edge recipe new --data DIR."
    )


def _nearest_recipe(path: Path, shipped: Iterable[str]) -> str:
    """`Nearest: 'x'. `: a file in the same folder, else a shipped recipe; "" if none is close."""
    name = path.name.removesuffix(".toml")
    try:
        around = {other.stem: other for other in sorted(path.parent.glob("*.toml"))}
    except OSError:  # the folder cannot be listed
        around = {}
    if path.stem in around:  # the same name with another ending
        return f"Nearest: '{around[path.stem]}'. "
    best = max(around, key=lambda stem: closeness(name, stem), default="")
    return f"Nearest: '{around[best]}'. " if best and is_close(name, best) else nearest(name, shipped)


def head_of(text: str) -> list[str]:
    """The comment lines at the head of a recipe's text, without their "#"."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return lines
