"""docs/signing.md: what it says of checking a hash without sskt-edge works, and it names what carries one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from sskt_edge.bundle.bundle import open_bundle
from sskt_edge.training.state import TrainState, save_state
from tests.bundle.tiny import write_bundle
from tests.export.pages import blocks, is_python

PAGE = Path(__file__).resolve().parent.parent / "docs" / "signing.md"


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """The manifest of the page's bundle, bundles/NAME in the current folder."""
    path = write_bundle(tmp_path / "bundles" / "NAME")
    open_bundle(path).with_files({})  # written as it is today
    return path / "manifest.json"


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="this system has no sha256sum")
def test_sha256sum_shows_the_number_that_the_manifest_carries(manifest: Path, tmp_path: Path) -> None:
    (commands,) = [block for block in blocks(PAGE) if "sha256sum" in block]

    def numbers() -> list[str]:
        """Those that the commands print."""
        said = subprocess.run(
            ["bash", "-ec", commands], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout
        return [line.split('"')[3] if '"' in line else line.split()[0] for line in said.splitlines()]

    carried, found = numbers()
    assert carried == found and len(found) == 64
    manifest.write_bytes(manifest.read_bytes().replace(b'"tiny"', b'"tinz"'))
    carried, found = numbers()
    assert carried != found


def test_the_python_of_the_page_tells_whole_files_from_changed_ones(manifest: Path, tmp_path: Path) -> None:
    (code,) = [block for block in blocks(PAGE) if is_python(block)]
    network = nn.Linear(2, 2)
    state = tmp_path / "last.safetensors"
    save_state(state, network, torch.optim.SGD(network.parameters(), lr=0.1), TrainState())
    for file in (manifest, state):
        for said in ("whole", "changed"):
            done = subprocess.run([sys.executable, "-c", code, str(file)], check=True, capture_output=True, text=True)
            assert done.stdout == f"{said}\n"
            file.write_bytes(file.read_bytes() + b"\n")
