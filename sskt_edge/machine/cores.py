"""The cores that this process may use, and how a measurement is kept on some of them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sskt_edge.machine.conditions import Processor, read_processor
from sskt_edge.machine.probe import number_of, text_of


def usable_cores(processor: Processor) -> int:
    """The number of cores that this process may use, limited by the CPU quota of its container."""
    quota = processor.core_quota
    return processor.cores if quota is None else max(1, min(processor.cores, int(quota)))


def threads_for(asked: int, root: Path = Path("/")) -> int:
    """The number of threads to request of a library; 0 leaves it to the library.

    ONNX Runtime starts a thread for every core of the machine even if this process may use only some of them, and the
    threads then wait for each other. So such a process requests one thread for each core that it may use.

    Args:
        asked: what the user requests; 0 if nothing.
        root: the folder that holds proc and sys.
    """
    if asked:
        return asked
    usable = usable_cores(read_processor(root))
    return usable if usable < (os.cpu_count() or 1) else 0


@contextmanager
def kept_on_cores(threads: int, root: Path = Path("/")) -> Iterator[tuple[int, ...]]:
    """Pin this thread, and those that it starts, to `threads` of its available cores; restore the old cores at the end.

    OpenVINO looks at the available cores once per process: a session that is opened later in the same process still
    uses the cores that it saw first.

    Args:
        threads: the number of cores; 0 changes nothing.
        root: the folder that holds sys.

    Yields:
        The cores by the system's numbers; empty if the system does not let a program choose.
    """
    before = os.sched_getaffinity(0) if threads and hasattr(os, "sched_getaffinity") else set()
    chosen = choose_cores(threads, before, root)
    try:
        if chosen:
            os.sched_setaffinity(0, chosen)
    except OSError:  # refused by a sandbox
        chosen = ()
    try:
        yield chosen
    finally:
        if chosen:
            os.sched_setaffinity(0, before)


def choose_cores(threads: int, usable: Iterable[int], root: Path = Path("/")) -> tuple[int, ...]:
    """The best `threads` of the usable cores: fast cores first, second hyper-threads of a core last."""
    found, met = [], Counter[str]()
    for number in sorted(usable):
        cpu = root / f"sys/devices/system/cpu/cpu{number}"
        core = text_of(cpu / "topology/thread_siblings_list") or str(number)
        # Arm reports the capacity of a core, x86 its highest clock.
        speed = number_of(cpu / "cpu_capacity") or number_of(cpu / "cpufreq/cpuinfo_max_freq") or 0.0
        found.append((met[core], -speed, number))
        met[core] += 1
    return tuple(sorted(number for _, _, number in sorted(found)[:threads]))
