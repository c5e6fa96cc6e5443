"""Which names of the bindings the package uses, and with how many arguments, read from its source.

An object of the bindings is told by the variable that holds it: the tables below are the package's conventions. A use
that they do not cover is found as one, by any name that an object in the tables has: `unknown`.
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
MODULE = ""
_ANYTHING = "?"

# File → variable, or the last name of `self._context` → the class of what it holds, or of each thing in it.
HOLDERS: dict[str, dict[str, str]] = {
    "session.py": {"trt": MODULE, "runtime": "Runtime", "engine": "ICudaEngine", "_context": "IExecutionContext"}
    | {"kinds": "DataType"},
    "logger.py": {"trt": MODULE},
    "builder.py": {"trt": MODULE, "builder": "Builder", "network": "INetworkDefinition", "parser": "OnnxParser"}
    | {"config": "IBuilderConfig", "profile": "IOptimizationProfile", "error": "ParserError"}
    | {"inputs": "ITensor", "outputs": "ITensor", "it": "ITensor", "severity": "ILogger.Severity"}
    | {"cache": "ITimingCache"},
    "cuda.py": {"cudart": MODULE, "_cudart": MODULE, "error": "cudaError_t", "properties": "cudaDeviceProp"},
}
# The same for what a call or a property gives that is used on the spot; None is a plain value of Python.
RESULTS: dict[str, str | None] = {
    "Severity": "ILogger.Severity",
    "get_timing_cache": "ITimingCache",
    "code": "ErrorCode",
    "dtype": "DataType",
    "cudaError_t": "cudaError_t",
    "bindings": MODULE,
    "name": None,
    "__members__": None,
    "cudaGetErrorString": None,
}
# Names that objects of the bindings have, and other objects too.
SHARED = {"name", "dtype", "shape", "float32", "uint8", "__version__", "__doc__", "__init__", "__name__"}
# For these the package asks first which library it has.
ONLY_RTX = {
    (MODULE, "ComputeCapability"),
    ("ComputeCapability", "__members__"),
    ("IBuilderConfig", "num_compute_capabilities"),
    ("IBuilderConfig", "set_compute_capability"),
}


@dataclass(frozen=True)
class Use:
    """A name of the bindings in the source; `arguments` where it is called: how many, and the names of the named."""

    owner: str
    name: str
    where: str
    arguments: tuple[int, tuple[str, ...]] | None


def uses(source: str, file: str) -> Iterator[Use]:
    """Each use of a name of the bindings."""
    holders = HOLDERS.get(file, {})
    tree = ast.parse(source)
    calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (owner := _class_of(node.value, holders)) is not None:
            yield Use(owner, node.attr, f"{file}:{node.lineno}", _arguments(calls.get(id(node))))
        elif isinstance(node, ast.ClassDef):
            # What overrides a method of the bindings is called by them.
            for owner in filter(None, (_class_of(base, holders) for base in node.bases)):
                for method in (part for part in node.body if isinstance(part, ast.FunctionDef)):
                    yield Use(owner, method.name, f"{file}:{method.lineno}", (len(method.args.args) - 1, ()))


def unknown(source: str, file: str, surface: Surface) -> set[str]:
    """Names that objects of the bindings have, used on an object of which the tables do not say what it is."""
    holders = HOLDERS.get(file, {})
    owners = {owner for table in HOLDERS.values() for owner in table.values()}
    owners |= {owner for owner in RESULTS.values() if owner is not None}
    members = {name for owner in owners for name in surface.get(owner, {})} - SHARED
    return {
        f"{file}:{node.lineno}: what is {ast.unparse(node.value)}, of which {node.attr} is taken?"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and node.attr in members and _class_of(node.value, holders) is None
    }


def _class_of(expression: ast.expr, holders: dict[str, str]) -> str | None:
    """The class of what an expression gives, None for what is not of the bindings."""
    match expression:
        case ast.Name(id=name) | ast.Attribute(value=ast.Name(id="self"), attr=name):
            return holders.get(name)
        case ast.Subscript(value=inner):
            return _class_of(inner, holders)
        case ast.Call(func=ast.Name(id=name)):
            return RESULTS.get(name)
        case ast.Call(func=ast.Attribute() as inner):
            return _class_of(inner, holders)
        case ast.Attribute(value=inner, attr=name):
            owner = _class_of(inner, holders)
            return None if owner is None else RESULTS.get(name, name if owner == MODULE else _ANYTHING)
    return None


def _arguments(call: ast.Call | None) -> tuple[int, tuple[str, ...]] | None:
    if call is None:
        return None
    # A starred one may be any number: those of a profile's shapes are three.
    count = sum(3 if isinstance(argument, ast.Starred) else 1 for argument in call.args)
    return count, tuple(str(keyword.arg) for keyword in call.keywords)


def fault(use: Use, surface: Surface) -> str:
    """What is wrong with a use, or nothing."""
    members = surface.get(use.owner, {})
    if use.name not in members:
        return f"{use.where}: {use.owner or 'the module'} has no {use.name}"
    said = members[use.name]
    if use.arguments is None:
        # A class is named without a call, as a base or for what is in it.
        is_function = said is not None and not use.name[0].isupper()
        return f"{use.where}: {use.name} is to be called" if is_function and use.owner != MODULE else ""
    if said is None:
        return f"{use.where}: {use.name} is not to be called"
    if not any(_fits(use.arguments, signature) for signature in _signatures(said)):
        return f"{use.where}: {use.name} takes {said!r}, got {use.arguments}"
    return ""


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
