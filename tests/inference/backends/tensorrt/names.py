"""Which names of the bindings the package's source takes of anything, and with how many arguments it calls them.

A name is one of the bindings if some version of them has it, whichever class of theirs it is of.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sskt_edge.inference.backends import tensorrt
from tests.inference.backends.tensorrt.bindings import Surface

FOLDER = Path(str(tensorrt.__file__)).parent
# Names that objects of the bindings have, and other objects too.
SHARED = {"name", "dtype", "shape", "precision", "float32", "uint8", "code", "read", "write", "log"}

Names = dict[str, set[str | None]]
"""name → what the docstrings of all that is called so say; None for what cannot be called"""


@dataclass(frozen=True)
class Use:
    """A name in the source; `arguments` where it is called: how many, and the names of the named."""

    name: str
    where: str
    arguments: tuple[int, tuple[str, ...]] | None


def names_of(*surfaces: Surface) -> Names:
    """All names of these bindings that are theirs alone."""
    found: Names = {}
    for surface in surfaces:
        for members in surface.values():
            for name, said in members.items():
                if not name.startswith("__") and name not in SHARED:
                    found.setdefault(name, set()).add(said)
    return found


def uses(source: str, file: str) -> Iterator[Use]:
    """Each name that is taken of something, and each method of a class whose base is taken of something."""
    tree = ast.parse(source)
    calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield Use(node.attr, f"{file}:{node.lineno}", _arguments(calls.get(id(node))))


def fault(use: Use, known: Names, here: Names) -> str:
    """What is wrong in these bindings, `here`, with the use of a name that is `known`; or nothing."""
    if use.name not in known:
        return ""
    if use.name not in here:
        return f"{use.where}: nothing has {use.name}"
    said = here[use.name]
    if use.arguments is None:
        return ""
    if said == {None}:
        return f"{use.where}: {use.name} is not to be called"
    if not any(_fits(use.arguments, signature) for text in said if text for signature in _signatures(text)):
        return f"{use.where}: {use.name} takes {said!r}, got {use.arguments}"
    return ""


def _arguments(call: ast.Call | None) -> tuple[int, tuple[str, ...]] | None:
    if call is None:
        return None
    # A starred one may be any number: those of a profile's shapes are three.
    count = sum(3 if isinstance(argument, ast.Starred) else 1 for argument in call.args)
    return count, tuple(str(keyword.arg) for keyword in call.keywords)


def _signatures(said: str) -> Iterator[str]:
    """name(self: A, shape: B = C) -> D → self: A, shape: B = C; one line each where a function has several."""
    for line in said.splitlines():
        if found := re.match(r"(?:\d+\. )?\w+\((.*)\)(?: ->.*)?$", line):
            yield found[1]


def _fits(arguments: tuple[int, tuple[str, ...]], signature: str) -> bool:
    count, named = arguments
    takes = [part.strip() for part in re.split(r",(?![^\[(<]*[\])>])", signature) if part.strip()]
    takes = [part for part in takes if not part.startswith("self") and part != "*"]
    if takes == ["*args", "**kwargs"]:  # what pybind11 writes above the several
        return False
    needed = [part for part in takes[count:] if "=" not in part]
    names = [re.split(r"[:=]", part)[0].split()[-1] for part in takes]
    return count <= len(takes) and set(named) <= set(names[count:]) and len(needed) <= len(named)
