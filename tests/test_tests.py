"""The tests themselves: names that fit a line, and nothing that a change inside the package would break."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "sskt_edge"
LONGEST = 69  # characters of a name
OF_NAMED_TUPLES = {"_replace", "_asdict", "_fields"}  # Python's own, in spite of their names


@cache
def trees(folder: Path) -> dict[Path, ast.Module]:
    """File → its syntax tree."""
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.py"))}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


@cache
def private_names() -> frozenset[str]:
    """What the package defines for itself: functions, classes, variables and attributes."""
    found = set()
    for tree in trees(PACKAGE).values():
        for node in ast.walk(tree):
            match node:
                case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                    found.add(name)
                case ast.Attribute(attr=name, ctx=ast.Store()):
                    found.add(name)
    return frozenset(filter(is_private, found - OF_NAMED_TUPLES))


def uses(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and name of each private thing of the package that a test imports, takes of an object or patches."""
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module), names=names) if module.partition(".")[0] == PACKAGE.name:
                parts = [*module.split("."), *(one.name for one in names)]
                yield from ((node.lineno, part) for part in parts if is_private(part))
            case ast.Attribute(value=owner, attr=name) if name in private_names():
                if not (isinstance(owner, ast.Name) and owner.id in ("self", "cls")):
                    yield node.lineno, name
            case ast.Constant(value=str(text)) if text.startswith(f"{PACKAGE.name}.") and " " not in text:
                yield from ((node.lineno, part) for part in text.split(".") if part in private_names())
            case ast.Call(func=ast.Attribute(attr="setattr"), args=[_, ast.Constant(value=str(name)), *_]):
                if name in private_names():
                    yield node.lineno, name


def test_names_of_tests_fit_a_line() -> None:
    names = [
        node.name for tree in trees(TESTS).values() for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
    ]
    assert [name for name in names if name.startswith("test_") and len(name) > LONGEST] == []


def test_no_test_uses_a_private_name_of_the_package() -> None:
    found = [f"{path.name}:{line}: {name}" for path, tree in trees(TESTS).items() for line, name in uses(tree)]
    assert found == []


def test_a_private_name_is_found_however_it_is_used() -> None:
    """Without this the test above could not fail."""
    name = min(private_names())
    for text in (
        f"from sskt_edge.cli.main import {name}",
        f"main.{name}()",
        f"patch.setattr('sskt_edge.cli.main.{name}', 1)",
        f"patch.setattr(main, '{name}', 1)",
    ):
        assert [found for _, found in uses(ast.parse(text))] == [name], text
