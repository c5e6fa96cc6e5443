from __future__ import annotations

import platform
import subprocess
import sys

import pytest

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

    assert plain > 20  # each anew: 64 MB in pages of 4 KB, or in huge ones of 2 MB
    assert kept <= 5
