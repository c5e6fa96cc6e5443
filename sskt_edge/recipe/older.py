"""Recipes of older versions. Those in run folders are converted; a user's own is refused with advice what to write."""

from __future__ import annotations

import json
from typing import Any

from sskt_edge.tasks.tolerances import RENAMED

Tree = dict[str, Any]


def from_older(tree: Tree) -> Tree:
    """Convert the tables of a run's recipe of any version to the present form; a present one is returned unchanged.

    >>> from_older({"sskt": {"method": "scratch", "alpha": 3.0}})
    {'method': {'name': 'scratch'}}
    >>> from_older({"sources": [{"name": "imagenet"}], "labels": {"views": 4, "see": "upsampled"}})
    {'sources': [{'name': 'imagenet', 'view': 'upsampled'}], 'labels': {'views': 4}}
    """
    for step in (_method, _view, _tolerances):
        tree = step(tree)
    return tree


def method_from_sskt(sskt: Tree) -> Tree:
    """Convert the older table [sskt] to [method].

    >>> method_from_sskt({"method": "sskt", "use": ["imagenet"], "alpha": 1.0})
    {'name': 'sskt', 'sources': ['imagenet'], 'alpha': 1.0}
    """
    name = sskt.get("method", "sskt")
    if name == "scratch":
        return {"name": "scratch"}
    renamed = {"use": "sources"}
    return {"name": name, **{renamed.get(key, key): value for key, value in sskt.items() if key != "method"}}


def _method(tree: Tree) -> Tree:
    if "sskt" not in tree:
        return tree
    others = {key: value for key, value in tree.items() if key != "sskt"}
    return {**others, "method": method_from_sskt(tree["sskt"])}


def _view(tree: Tree) -> Tree:
    """The view of the sources was one key, labels.see, for all of them."""
    labels, sources = tree.get("labels"), tree.get("sources", [])
    if not isinstance(labels, dict) or "see" not in labels or not isinstance(sources, list):
        return tree
    view = labels["see"]
    return {
        **tree,
        "sources": [{**part, "view": view} if isinstance(part, dict) else part for part in sources],
        "labels": {key: value for key, value in labels.items() if key != "see"},
    }


def _tolerances(tree: Tree) -> Tree:
    """The limits of parity had names that fit only one class per image."""
    export = tree.get("export")
    parity = export.get("parity") if isinstance(export, dict) else None
    if not isinstance(export, dict) or not isinstance(parity, dict):
        return tree
    renamed = {RENAMED.get(key, key): value for key, value in parity.items()}
    return {**tree, "export": {**export, "parity": renamed}}


def moved(tree: Tree) -> list[str]:
    """What to write in place of older tables and keys, one line each; no line for a present recipe."""
    lines = []
    if "sskt" in tree:
        table = method_from_sskt(tree["sskt"]) if isinstance(tree["sskt"], dict) else {"name": "sskt"}
        written = "".join(f"\n    {key} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items())
        lines.append(
            f"sskt: the table [sskt] is now called [method] (--set method.KEY=VALUE). Write:\n    [method]{written}"
        )
    export = tree.get("export")
    parity = export.get("parity") if isinstance(export, dict) else None
    for key in (key for key in RENAMED if isinstance(parity, dict) and key in parity):
        lines.append(f"export.parity.{key} is now called export.parity.{RENAMED[key]}. Rename it.")
    labels = tree.get("labels")
    if isinstance(labels, dict) and "see" in labels:
        view = json.dumps(labels["see"], ensure_ascii=False)
        lines.append(
            f"labels.see: each source now has a view of its own (--set sources.NAME.view=VIEW). Remove labels.see, "
            f"and write view = {view} in each [[sources]]."
        )
    return lines
