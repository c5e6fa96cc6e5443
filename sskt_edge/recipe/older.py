"""Recipes of before. Those in run folders are read as today's; a user's own is refused with what to write instead."""

from __future__ import annotations

import json
from typing import Any

from sskt_edge.tasks.tolerances import RENAMED

Tree = dict[str, Any]


def from_older(tree: Tree) -> Tree:
    """The tables of a run's recipe, of whichever version, as today's; a recipe of today comes back as it is.

    >>> from_older({"sskt": {"method": "scratch", "alpha": 3.0}})
    {'method': {'name': 'scratch'}}
    >>> from_older({"sources": [{"name": "imagenet"}], "labels": {"views": 4, "see": "upsampled"}})
    {'sources': [{'name': 'imagenet', 'view': 'upsampled'}], 'labels': {'views': 4}}
    """
    for step in (_method, _view, _tolerances):
        tree = step(tree)
    return tree


def method_from_sskt(sskt: Tree) -> Tree:
    """The table [sskt] of before → [method].

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
    """What the sources are shown was one key, labels.see, for all of them."""
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
    """The limits of parity had names that fit one class an image alone."""
    export = tree.get("export")
    parity = export.get("parity") if isinstance(export, dict) else None
    if not isinstance(export, dict) or not isinstance(parity, dict):
        return tree
    renamed = {RENAMED.get(key, key): value for key, value in parity.items()}
    return {**tree, "export": {**export, "parity": renamed}}


def moved(tree: Tree) -> list[str]:
    """What an author must write in place of tables and keys of before; no line for a recipe of today."""
    lines = []
    if "sskt" in tree:
        table = method_from_sskt(tree["sskt"]) if isinstance(tree["sskt"], dict) else {"name": "sskt"}
        written = "".join(f"\n    {key} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items())
        lines.append(f"sskt: the table [sskt] is [method] now (--set method.KEY=VALUE). Write:\n    [method]{written}")
    export = tree.get("export")
    parity = export.get("parity") if isinstance(export, dict) else None
    for key in (key for key in RENAMED if isinstance(parity, dict) and key in parity):
        lines.append(f"export.parity.{key} is export.parity.{RENAMED[key]} now. Rename it.")
    labels = tree.get("labels")
    if isinstance(labels, dict) and "see" in labels:
        view = json.dumps(labels["see"], ensure_ascii=False)
        lines.append(
            f"labels.see: each source has a view of its own now (--set sources.NAME.view=VIEW). Leave labels.see out, "
            f"and write view = {view} in each [[sources]]."
        )
    return lines
