"""Keep freed memory in the process, so that the next step can use it."""

from __future__ import annotations

import ctypes
import platform

# glibc's malloc.h
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4


def keep_freed_memory() -> None:
    """Tell glibc not to return freed memory to the system, from now on in the whole process.

    A step on the CPU frees hundreds of megabytes. If they are returned, the next step has to map and clear all their
    pages again, which costs tens of thousands of page faults per step, most of all if torch runs a source. The memory
    peak may be higher. With another C library this does nothing.

    The verbs that train or time a training (train, compare, sweep, labels plan, labels fill) call it first. A call of
    sskt_edge.train() does not: it cannot be undone, and the process belongs to the caller.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_TRIM_THRESHOLD, -1)
        libc.mallopt(_M_MMAP_MAX, 0)
