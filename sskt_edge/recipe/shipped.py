"""The recipes that come with the package, found by name."""

from __future__ import annotations

from pathlib import Path

from sskt_edge.errors import RecipeError, nearest

_PACKAGE = Path(__file__).resolve().parent.parent


def recipes_folder() -> Path:
    """Where the shipped recipes lie: inside an installed wheel, or beside the package in a checkout."""
    inside = _PACKAGE / "shipped" / "recipes"
    return inside if inside.is_dir() else _PACKAGE.parent / "recipes"


def shipped_recipes() -> dict[str, Path]:
    """Name → file, sorted by name."""
    return {path.stem: path for path in sorted(recipes_folder().glob("*.toml"))}


def find_recipe(path_or_name: str) -> Path:
    """The file itself if there is one, else the shipped recipe of that name.

    Raises:
        RecipeError: neither; the nearest name is offered.
    """
    path = Path(path_or_name)
    if path.is_file():
        return path
    shipped = shipped_recipes()
    name = path.name.removesuffix(".toml")
    if path.parent in {Path(), Path("recipes")} and name in shipped:
        return shipped[name]
    raise RecipeError(
        f"No recipe '{path_or_name}': no such file, and no shipped recipe of that name. "
        f"{nearest(name, shipped)}Shipped: {', '.join(shipped)}. For your images: sskt-edge recipe new --data DIR."
    )


def head_of(text: str) -> list[str]:
    """The comment lines at the head of a recipe's text, without their marks."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return lines
