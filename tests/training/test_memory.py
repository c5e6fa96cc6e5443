from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tests.recipe.small import SCRATCH

# Page faults of taking and freeing 64 MB, as often as after the first time.
_FAULTS = """
import resource
import numpy as np
from sskt_edge.training.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(8_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

plain = [faults() for _ in range(4)]
keep_freed_memory()
kept = [faults() for _ in range(4)]
print(min(plain[1:]), max(kept[1:]))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone is told")
def test_freed_memory_is_taken_again_without_page_faults() -> None:
    done = subprocess.run([sys.executable, "-c", _FAULTS], capture_output=True, text=True, check=True)
    plain, kept = map(int, done.stdout.split())

    assert plain > 20  # each again: 64 MB in pages of 4 KB, or in huge ones of 2 MB
    assert kept <= 5


# Each verb in a child of a process that has loaded what they need; no image can be read, so it ends early.
_VERBS = """
import os, resource, sys
import numpy as np
from sskt_edge.cli.main import app
from sskt_edge.common.errors import SsktEdgeError
import sskt_edge.study.compare, sskt_edge.study.sweep, sskt_edge.training.plan, sskt_edge.training.finish

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(8_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

for verb in (["recipe", "check"], ["train"], ["compare"], ["sweep"], ["labels", "plan"], ["labels", "fill"]):
    if os.fork() == 0:
        sys.stdout = sys.stderr
        try:
            app([*verb, sys.argv[1]], standalone_mode=False)
        except SsktEdgeError:
            pass
        print(*verb, max([faults() for _ in range(4)][1:]), sep=",", file=sys.__stdout__, flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone is told")
def test_the_verbs_that_train_or_time_a_training_keep_freed_memory(tmp_path: Path) -> None:
    recipe = tmp_path / "small.toml"
    recipe.write_text(SCRATCH.replace('"digits"', '"imagefolder", root = "photos"'))
    for name in ("cats", "dogs"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(2):
            (tmp_path / "photos" / name / f"{number}.png").write_bytes(f"{name} {number}".encode())
    done = subprocess.run(
        [sys.executable, "-c", _VERBS, str(recipe)], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    found = {verb: int(faults) for verb, _, faults in (line.rpartition(",") for line in done.stdout.splitlines())}

    assert found.pop("recipe,check") > 20  # the measure sees a process that returns its memory
    assert list(found) == ["train", "compare", "sweep", "labels,plan", "labels,fill"]
    assert max(found.values()) <= 5, found
