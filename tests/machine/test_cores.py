from __future__ import annotations

import dataclasses
import os
import threading
from pathlib import Path

import pytest

from sskt_edge.machine.conditions import conditions
from sskt_edge.machine.cores import choose_cores, kept_on_cores, threads_for, usable_cores

needs_affinity = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no such call")


def lay_out(root: Path, number: int, **files: str) -> None:
    """A CPU as the kernel shows it."""
    for name, text in files.items():
        path = root / f"sys/devices/system/cpu/cpu{number}" / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")


@pytest.mark.parametrize(
    ("threads", "usable", "chosen"),
    [
        (2, range(8), (0, 1)),
        (4, range(8), (0, 1, 2, 3)),
        (5, range(8), (0, 1, 2, 3, 4)),
        (2, (1, 3, 5, 7), (1, 3)),
        (2, (3, 4, 7), (3, 4)),
        (9, range(8), tuple(range(8))),
        (0, range(8), ()),
    ],
)
def test_a_core_is_taken_twice_only_if_each_is_taken(
    threads: int, usable: tuple[int, ...], chosen: tuple[int, ...], tmp_path: Path
) -> None:
    for number in range(8):
        lay_out(tmp_path, number, topology__thread_siblings_list=f"{number % 4},{number % 4 + 4}")
    assert choose_cores(threads, usable, tmp_path) == chosen


@pytest.mark.parametrize("told", ["cpu_capacity", "cpufreq__cpuinfo_max_freq"])
def test_large_cores_are_taken_before_small_ones(told: str, tmp_path: Path) -> None:
    for number, speed in enumerate((446, 446, 446, 446, 1024, 1024)):
        lay_out(tmp_path, number, **{told: str(speed)})
    assert choose_cores(2, range(6), tmp_path) == (4, 5)
    assert choose_cores(3, range(6), tmp_path) == (0, 4, 5)


def test_of_cores_of_which_nothing_is_known_the_first_are_taken(tmp_path: Path) -> None:
    assert choose_cores(2, {5, 2, 9}, tmp_path) == (2, 5)


@needs_affinity
def test_what_starts_meanwhile_is_kept_there_and_is_free_afterwards() -> None:
    before = os.sched_getaffinity(0)
    seen: list[set[int]] = []
    with pytest.raises(KeyError), kept_on_cores(1) as cores:
        assert os.sched_getaffinity(0) == set(cores)
        started = threading.Thread(target=lambda: seen.append(os.sched_getaffinity(0)))
        started.start()
        started.join()
        raise KeyError
    assert len(cores) == 1 and seen == [set(cores)] and cores[0] in before
    assert os.sched_getaffinity(0) == before


@needs_affinity
def test_nothing_is_kept_anywhere_unless_it_is_asked_for() -> None:
    before = os.sched_getaffinity(0)
    with kept_on_cores(0) as cores:
        assert cores == ()
        assert os.sched_getaffinity(0) == before


@needs_affinity
def test_where_the_system_refuses_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    with kept_on_cores(1) as cores:
        assert cores == ()


@pytest.mark.parametrize(
    ("cores", "quota", "usable"), [(4, None, 4), (4, 2.0, 2), (4, 2.9, 2), (4, 0.5, 1), (4, 16.0, 4)]
)
def test_a_container_has_no_more_cores_than_its_quota(cores: int, quota: float | None, usable: int) -> None:
    assert usable_cores(dataclasses.replace(conditions().processor, cores=cores, core_quota=quota)) == usable


@pytest.mark.parametrize(("asked", "requested"), [(0, 1), (3, 3)])
def test_a_library_is_held_to_the_quota_unless_the_user_asks_for_more(
    asked: int, requested: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/cpu.max").write_text("100000 100000\n")
    assert threads_for(asked, tmp_path) == requested


@needs_affinity
def test_a_process_on_some_of_the_cores_requests_a_thread_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    with kept_on_cores(1):
        assert threads_for(0) == 1


def test_a_library_chooses_itself_on_a_machine_that_is_all_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: conditions(tmp_path).processor.cores)
    assert threads_for(0, tmp_path) == 0
