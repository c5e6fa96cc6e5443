"""timm's published weights in a cache of their own, without a network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import timm


def cache_folder(home: Path, name: str) -> Path:
    """The folder in `home` where the hub's client looks for the files of timm's network `name`; it is created."""
    own = timm.get_pretrained_cfg(name)
    assert own is not None
    repository = home / "hub" / f"models--{str(own.hf_hub_id).replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    (repository / "snapshots" / ("0" * 40)).mkdir(parents=True)
    return repository / "snapshots" / ("0" * 40)


def run_offline(home: Path, code: str) -> list[str]:
    """The lines that `code` prints, in a new process: the hub's client reads its settings when it is imported."""
    env = {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
