"""Nothing that a later step believes can change unnoticed: a bundle, a run, the state of a training, a study, a store.

Random flips of a bit, cuts and doublings, as a bad disk, a broken copy or a slip of an editor leaves them.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from sskt_edge.bundle.bundle import open_bundle
from sskt_edge.bundle.manifest import parse
from sskt_edge.common.errors import InputError
from sskt_edge.sources.store.label_format import LabelFormat
from sskt_edge.sources.store.manifest import CollectionManifest, read_manifest, write_manifest
from sskt_edge.study.compare import Study
from sskt_edge.targets.records import read_record, write_record
from sskt_edge.targets.run_folder import TrainedNetwork, read_run
from sskt_edge.targets.run_layout import RunFolder
from sskt_edge.training.environment import read_environment
from sskt_edge.training.state import TrainState, load_state, save_state
from tests.bundle.tiny import write_bundle

Reader = Callable[[], object]


def damaged(content: bytes, draw: random.Random) -> bytes:
    """The content with one bit flipped, a piece cut out, or a piece doubled."""
    start = draw.randrange(len(content))
    end = min(len(content), start + 2 ** draw.randrange(12))
    flipped = bytes([content[start] ^ 1 << draw.randrange(8)])
    return draw.choice(
        [
            content[:start] + flipped + content[start + 1 :],
            content[:start] + content[end:],
            content[:end] + content[start:],
        ]
    )


def is_believed(read: Reader) -> bool:
    try:
        read()
    except InputError:
        return False
    return True


def believed(file: Path, read: Reader, contents: Iterator[bytes]) -> list[bytes]:
    """Those of `contents` that are read without an error; afterwards the file is as it was."""
    whole = file.read_bytes()
    assert is_believed(read)
    try:
        found = []
        for content in contents:
            file.write_bytes(content)
            if is_believed(read):
                found.append(content)
        return found
    finally:
        file.write_bytes(whole)


def bundle_files(folder: Path) -> dict[Path, Reader]:
    path = write_bundle(folder / "bundle")
    return {file: lambda: open_bundle(path) for file in path.iterdir()}


def run_files(run: TrainedNetwork, folder: Path) -> dict[Path, Reader]:
    """What export, compare and a resumed training read of a run but for the training's state."""
    path = shutil.copytree(run.folder.path, folder / "run")
    copied = RunFolder(path)
    opened = read_run(path)
    return {
        copied.result: lambda: read_run(path),
        copied.recipe: lambda: read_run(path),
        copied.primary: lambda: read_run(path),
        copied.golden: opened.golden,
        copied.environment: lambda: read_environment(copied),
    }


def state_files(folder: Path) -> dict[Path, Reader]:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    network(torch.ones(2, 3, 4, 4)).sum().backward()
    optimizer.step()
    file = folder / "last.safetensors"
    save_state(file, network, optimizer, TrainState(epoch=3, step=2, sums={"total": 0.3}, best_metric=0.5))
    return {file: lambda: load_state(file, network, optimizer)}


def other_files(folder: Path) -> dict[Path, Reader]:
    """What a study and a store of labels say of themselves."""
    study, store = folder / "study.json", folder / "manifest.json"
    write_record(study, Study(name="a", recipe_sha256="0" * 64, precision="fp16"))
    told = {"gate": {"kl": 0.001, "same": 0.97, "agreement": 0.99}}
    write_manifest(folder, CollectionManifest({"model": "a"}, LabelFormat(10, 3), fills={"1": told}))
    return {study: lambda: read_record(study, Study, "Remove it."), store: lambda: read_manifest(folder)}


def test_a_thousand_random_changes_are_all_noticed(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    parts = [bundle_files(tmp_path), run_files(tiny_run, tmp_path), state_files(tmp_path), other_files(tmp_path)]
    draw, count = random.Random(17), 0
    for files in parts:
        for file, read in files.items():
            each = 250 // len(files) + 1
            count += each
            whole = file.read_bytes()
            contents = (damaged(whole, draw) for _ in range(each))
            assert believed(file, read, (content for content in contents if content != whole)) == [], file.name
    assert count >= 1000


def manifest(folder: Path) -> bytes:
    """A manifest as it is written today."""
    return open_bundle(write_bundle(folder / "bundle")).manifest.as_bytes()


def test_no_bit_of_a_manifest_can_flip_unnoticed(tmp_path: Path) -> None:
    whole = manifest(tmp_path)
    parse(whole)
    for place in range(len(whole)):
        for bit in range(8):
            changed = bytearray(whole)
            changed[place] ^= 1 << bit
            assert not is_believed(partial(parse, bytes(changed))), (place, bit)


@pytest.mark.parametrize("width", [1, 7, 80, 83, 1000])
def test_no_piece_of_a_manifest_can_be_lost_or_doubled_unnoticed(width: int, tmp_path: Path) -> None:
    whole = manifest(tmp_path)
    for start in range(len(whole)):
        cut, doubled = whole[:start] + whole[start + width :], whole[: start + width] + whole[start:]
        assert not is_believed(partial(parse, cut)), start
        assert not is_believed(partial(parse, doubled)), start
