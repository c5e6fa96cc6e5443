from __future__ import annotations

import os
from pathlib import Path

import pytest

from sskt_edge.common.errors import Interrupted, StorageError
from sskt_edge.common.lock import is_held, locked, remove_if_free
from sskt_edge.common.progress import QUIET, Notes, Stoppable
from tests.sources.store.small import start

HOLD = """
from sskt_edge.common.lock import locked
from sskt_edge.common.progress import QUIET
with locked(Path(sys.argv[1]), "works", QUIET):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_second_process_waits_and_says_for_whom(tmp_path: Path) -> None:
    heard, looks = Notes(), 0
    with start(HOLD, tmp_path / "lock") as other:
        assert other.stdout and other.stdin and other.stdout.readline() == "held\n"

        def meanwhile() -> None:
            nonlocal looks
            looks += 1
            if looks == 3:
                other.communicate("\n")

        with locked(tmp_path / "lock", "works", Stoppable(heard, meanwhile)):
            assert looks >= 3 and other.returncode == 0
    assert len(heard.lines) == 1 and heard.lines[0].startswith(f"Waiting for process {other.pid} on ")


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    with start(HOLD, tmp_path / "lock") as other:
        assert other.stdout and other.stdout.readline() == "held\n"
        with locked(tmp_path / "lock", "works", Stoppable(QUIET, other.kill)):
            assert other.wait() < 0 or os.name == "nt"


def test_a_lock_is_held_as_long_as_its_process_lives(tmp_path: Path) -> None:
    with start(HOLD, tmp_path / "lock") as other:
        assert other.stdout and other.stdout.readline() == "held\n"
        assert is_held(tmp_path / "lock") and not is_held(tmp_path / "another")
        other.kill()
    assert not is_held(tmp_path / "lock")


def test_a_signal_ends_the_waiting(tmp_path: Path) -> None:
    def interrupt() -> None:
        raise Interrupted("stopped", 2)

    lock, stopped = tmp_path / "lock", Stoppable(QUIET, interrupt)
    with locked(lock, "works", stopped), pytest.raises(Interrupted), locked(lock, "works", stopped):
        raise AssertionError("two hold it")
    with locked(lock, "works", stopped):
        pass


def test_a_place_that_takes_no_lock_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    lock = tmp_path / "file" / "lock"
    with pytest.raises(StorageError, match="Could not write"), locked(lock, "works", QUIET):
        pass


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="this system cannot tell a link at opening")
def test_a_link_in_the_place_of_the_lock_does_not_empty_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("all")
    (tmp_path / "lock").symlink_to(tmp_path / "precious")
    with pytest.raises(StorageError), locked(tmp_path / "lock", "works", QUIET):
        pass
    assert (tmp_path / "precious").read_text() == "all"


def test_a_hard_link_in_the_place_of_the_lock_is_refused_and_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("all")
    (tmp_path / "lock").hardlink_to(tmp_path / "precious")
    with (
        pytest.raises(StorageError, match=r"lock' is not a lock file.*Remove it"),
        locked(tmp_path / "lock", "works", QUIET),
    ):
        pass
    assert (tmp_path / "precious").read_text() == "all"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_the_place_of_the_lock_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lock")
    with pytest.raises(StorageError, match="is not a lock"), locked(tmp_path / "lock", "works", QUIET):
        pass


def test_a_lock_that_its_holder_removes_meanwhile_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, fstat, left = tmp_path / "lock", os.fstat, [0]

    def after_it_went(descriptor: int) -> os.stat_result:
        if left:
            lock.unlink()
            left.clear()
        return fstat(descriptor)

    monkeypatch.setattr(os, "fstat", after_it_went)
    with locked(lock, "works", QUIET):
        assert lock.is_file()  # a file without a name would keep nobody out


def test_a_lock_that_is_removed_at_the_end_is_still_held_by_one_alone(tmp_path: Path) -> None:
    lock = tmp_path / "lock"

    def interrupt() -> None:
        raise Interrupted("held", 2)

    with start(HOLD.replace("QUIET)", "QUIET, remove=True)"), lock) as other:
        assert other.stdout and other.stdin and other.stdout.readline() == "held\n"

        def let_go() -> None:
            other.communicate("\n")

        with locked(lock, "works", Stoppable(QUIET, let_go), remove=True):
            assert other.returncode == 0
            with pytest.raises(Interrupted), locked(lock, "works", Stoppable(QUIET, interrupt)):
                raise AssertionError("two hold it")
    assert not lock.exists()


def test_the_lock_of_a_killed_process_is_removed_and_a_held_one_stays(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with start(HOLD, lock) as other:
        assert other.stdout and other.stdout.readline() == "held\n"
        remove_if_free(lock)
        assert is_held(lock)
        other.kill()
    assert lock.is_file()
    remove_if_free(lock)
    assert not lock.exists()
    remove_if_free(lock)


def test_what_is_not_a_lock_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("all")
    (tmp_path / "lock").write_text("process 7 on a machine")
    (tmp_path / "second name").hardlink_to(tmp_path / "lock")
    (tmp_path / "folder").mkdir()
    names = ["mine", "lock", "second name", "folder"]
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "link").symlink_to(tmp_path / "lock")
        names += ["pipe", "link"]
    for name in names:
        remove_if_free(tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} == set(names)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a folder that this user cannot write")
def test_a_lock_in_a_read_only_folder_is_left(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("process 7 on a machine")
    tmp_path.chmod(0o500)
    try:
        remove_if_free(tmp_path / "lock")
        assert (tmp_path / "lock").is_file()
    finally:
        tmp_path.chmod(0o700)
