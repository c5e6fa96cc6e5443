"""What does it cost to kill a process that fills a label store at random moments, and is the store intact afterwards?

    python -m benchmarks.kill_label_filling [--kills 1000] [--seed 0]

Each round starts a process that fills a store of small shards from a source that costs nothing, so that it spends
nearly all its time on writing, and ends it with SIGKILL. Then every shard is checked against its hash, and the views
that the process asked about (noted before it asks) are compared with the stored ones: no stored view may have been
asked again, and at most one shard's labels may be lost. A full store is read back label by label, and the next one is
started. The exit code is 1 if any of this fails. (A killed process loses nothing that it has passed to the system;
power cuts are not tested here.)
"""

from __future__ import annotations

import argparse
import platform
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
from numpy.typing import NDArray

from sskt_edge.sources.store.collection import Collection
from sskt_edge.sources.store.keys import Keys, view_keys
from sskt_edge.sources.store.store import LabelStore

LABELS, CLASSES = 2048, 20
BATCH, SHARD = 8, 32
LONGEST = 0.08  # seconds that a process may live after its imports


@dataclass
class Tally:
    """What was seen over all rounds."""

    kills: int = 0
    within_writing: int = 0  # a temporary file, or a shard without its line in the manifest, was left
    stores: int = 0
    asked: int = 0
    asked_again: int = 0
    lost: int = 0
    lost_at_most: int = 0
    damaged: int = 0
    wrong: int = 0

    @property
    def holds(self) -> bool:
        return self.asked_again == self.damaged == self.wrong == 0 and self.lost_at_most <= SHARD


def all_keys() -> Keys:
    hashes = np.zeros((LABELS, 32), dtype=np.uint8)
    return view_keys(hashes, np.arange(LABELS * 5, dtype=np.int32).reshape(LABELS, 5))


def logits_of(rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """Numbers that float16 keeps, other ones for each row. [B] → float32 [B,CLASSES]."""
    return (rows[:, None] + np.arange(CLASSES) / 16).astype(np.float16).astype(np.float32)


def collection_in(store: Path) -> Collection:
    return LabelStore(store).collection({"model": "made/up"}, CLASSES)


def fill(store: Path) -> None:
    """What the killed process does. The rows that it asks stand in `store`/asked before it asks them."""
    keys, collection = all_keys(), collection_in(store)
    with collection.held(), (store / "asked").open("wb", buffering=0) as asked:
        missing = np.flatnonzero(collection.missing(keys))
        with collection.writer({}, rows=SHARD) as writer:
            for start in range(0, len(missing), BATCH):
                rows = missing[start : start + BATCH]
                asked.write(rows.astype("<i8").tobytes())
                writer.add(keys[rows], logits_of(rows))


def kill_one(store: Path, seconds: float) -> bool:
    """Fill for so long; False if the process was done before."""
    with subprocess.Popen([sys.executable, __file__, "--fill", str(store)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        time.sleep(seconds)
        process.kill()
    if process.returncode > 0:
        raise RuntimeError(f"the filling process failed with {process.returncode}")
    return process.returncode < 0


def look(store: Path, before: NDArray[np.bool_], tally: Tally) -> NDArray[np.bool_]:
    """Compare the store with what was asked; bool [LABELS], what is stored."""
    collection = collection_in(store)
    tally.damaged += len(collection.verify())
    stored = ~collection.missing(all_keys())
    asked = np.zeros(LABELS, dtype=np.bool_)
    if (store / "asked").exists():
        asked[np.fromfile(store / "asked", dtype="<i8")] = True
        (store / "asked").unlink()
    named = {shard.name for shard in collection.shards}
    files = {path.name for path in collection.path.glob("*.safetensors")}
    tally.within_writing += bool(files - named or list(collection.path.glob(".*.tmp")))
    lost = int((asked & ~stored).sum())
    tally.asked += int(asked.sum())
    tally.asked_again += int((asked & before).sum())
    tally.lost += lost
    tally.lost_at_most = max(tally.lost_at_most, lost)
    tally.wrong += int((before & ~stored).sum())
    return stored


def read_back(store: Path) -> int:
    """How many labels of a full store are not those that were asked."""
    stored = collection_in(store).open(all_keys())
    if stored is None:
        return LABELS
    rows = np.random.default_rng(0).permutation(LABELS)
    return int((stored.read(rows) != logits_of(rows)).any(axis=1).sum())


def kill_many(kills: int, seed: int, folder: Path) -> Tally:
    tally, moments = Tally(), random.Random(seed)
    while tally.kills < kills:
        store = folder / f"{tally.stores}"
        store.mkdir()
        stored = np.zeros(LABELS, dtype=np.bool_)
        while not stored.all() and tally.kills < kills:
            tally.kills += kill_one(store, moments.uniform(0, LONGEST))
            stored = look(store, stored, tally)
        fill(store)
        look(store, stored, tally)
        tally.wrong += read_back(store)
        tally.stores += 1
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="of the moments; the system's own timing is not repeated")
    parser.add_argument("--fill", type=Path, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.fill:
        print("ready", flush=True)
        fill(told.fill)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        tally = kill_many(told.kills, told.seed, Path(folder))
    print(
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}, "
        f"safetensors {safetensors.__version__}; shards of {SHARD} labels, stores of {LABELS}\n"
    )
    print("| | |\n|---|---|")
    print(f"| kills | {tally.kills} |")
    print(f"| of them with a file half written or not yet named | {tally.within_writing} |")
    print(f"| labels asked, to fill {tally.stores} stores | {tally.asked} |")
    print(f"| labels lost by a kill, mean and at most | {tally.lost / tally.kills:.1f}, {tally.lost_at_most} |")
    print(f"| shards lost by a kill, at most | {-(-tally.lost_at_most // SHARD)} |")
    print(f"| stored labels that were asked again | {tally.asked_again} |")
    print(f"| shards that differ from their hash | {tally.damaged} |")
    print(f"| labels that vanished or are not what was asked | {tally.wrong} |")
    return 0 if tally.holds else 1


if __name__ == "__main__":
    sys.exit(main())
