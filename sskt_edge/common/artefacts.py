"""Recognise a folder that a user named where another kind is needed, and suggest a command for it."""

from __future__ import annotations

from pathlib import Path

from sskt_edge.common.shell import command


def kind_of(path: Path) -> str:
    """The kind of a folder by the names of its files: "run", "bundle", … or "" for any other."""
    if (path / "recipe.toml").is_file() and (path / "environment.json").is_file():
        return "run"
    if (path / "manifest.json").is_file():
        if (path / "golden.safetensors").is_file() or (path / "model.onnx").is_file():
            return "bundle"
        return "collection of labels" if any(path.glob("*.safetensors")) else ""
    inside = path.glob("*/manifest.json") if path.is_dir() else ()
    return "store of labels" if any(kind_of(file.parent) == "collection of labels" for file in inside) else ""


def what_it_is(path: Path) -> str:
    """A sentence such as "'runs/a' is a run. To export it: sskt-edge export runs/a"; "" for any other folder."""
    kind = kind_of(path)
    if kind == "run" and not (path / "result.json").is_file():
        return f"'{path}' is an unfinished run. To continue it: {command('train', path, '--resume')}"
    todo = {
        "run": f"Its recipe is '{path / 'recipe.toml'}'. To export it: {command('export', path)}",
        "bundle": f"To evaluate it: {command('eval', path)}",
        "collection of labels": f"To list its store: {command('labels', 'list', '--store', path.parent)}",
        "store of labels": f"To list it: {command('labels', 'list', '--store', path)}",
    }
    return f"'{path}' is a {kind}. {todo[kind]}" if kind else ""
