"""A small collection of made-up labels, and processes that use one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sskt_edge.sources.store.collection import Collection
from sskt_edge.sources.store.keys import Keys, view_keys
from sskt_edge.sources.store.store import LabelStore

CLASSES = 20
FACTS = {"model": "made/up", "source": {"mean": (0.5, 0.5, 0.5), "weights": "abc"}, "engine": "torch-fp32"}


def keys_of(rows: Sequence[int] | NDArray[np.intp]) -> Keys:
    """A key for each number."""
    views = np.zeros((len(rows), 5), dtype=np.int32)
    views[:, 0] = rows
    return view_keys(np.zeros((len(rows), 32), dtype=np.uint8), views)


def logits_of(rows: Sequence[int] | NDArray[np.intp]) -> NDArray[np.float32]:
    """Numbers that float16 keeps, other ones for each row. [B] → float32 [B,CLASSES]."""
    return (np.asarray(rows)[:, None] + np.arange(CLASSES) / 16).astype(np.float16).astype(np.float32)


def collection_in(path: Path, top_k: int = 0) -> Collection:
    return LabelStore(path).collection(FACTS, CLASSES, top_k)


def add(collection: Collection, rows: Sequence[int] | NDArray[np.intp], shard: int = 10) -> None:
    """Store the labels of these rows, ten in a shard."""
    rows = np.asarray(rows)
    with collection.held(), collection.writer({"by": "a test"}, rows=shard) as writer:
        for start in range(0, len(rows), 5):
            writer.add(keys_of(rows[start : start + 5]), logits_of(rows[start : start + 5]))


def holds(collection: Collection, rows: Sequence[int] | NDArray[np.intp]) -> bool:
    """Whether it opens with these rows and gives the labels that were stored."""
    stored = collection.open(keys_of(rows))
    return stored is not None and bool((stored.read(np.arange(len(rows))) == logits_of(rows)).all())


def start(code: str, *arguments: Path) -> subprocess.Popen[str]:
    """Run code in a process of its own that knows this file's names."""
    before = "import os, sys, time; from pathlib import Path; from tests.sources.store.small import *\n"
    root = Path(__file__).parents[3]
    return subprocess.Popen(
        [sys.executable, "-c", before + code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        cwd=root,
    )
