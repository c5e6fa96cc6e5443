from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sskt_edge.common.errors import StorageError
from sskt_edge.common.files import folder_written_whole, read_regular, sha256_of, write_atomically

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX limits")


def in_new_process(code: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    before = "import os, sys; from pathlib import Path; from sskt_edge.common.files import *\n"
    return subprocess.run(
        [sys.executable, "-c", before + code, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_regular_file_is_read_with_a_byte_more_where_it_is_longer(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert read_regular(tmp_path / "a") == read_regular(tmp_path / "link") == b"12345"
    assert read_regular(tmp_path / "a", 3) == b"1234"
    assert read_regular(tmp_path / "a", 1 << 60) == b"12345"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path(os.devnull), tmp_path):
        with pytest.raises(OSError):
            read_regular(path)


def test_sha256_is_that_of_the_whole_file(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000
    (tmp_path / "a").write_bytes(content)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_a_file_is_written_into_new_folders_and_over_an_old_one(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.bin"
    for content in (b"old", b"", b"new"):
        write_atomically(path, content)
        assert path.read_bytes() == content and names(path.parent) == ["a.bin"]


@posix
def test_a_written_file_has_the_usual_permissions(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", b"")
    (tmp_path / "b").write_bytes(b"")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


@pytest.mark.parametrize("call", ["fsync", "chmod", "replace"])
def test_a_crash_at_any_step_leaves_the_old_file_whole(tmp_path: Path, call: str) -> None:
    path = tmp_path / "a.bin"
    write_atomically(path, b"old")
    crash = "os.fsync" if call == "fsync" else f"Path.{call}"
    code = f"{crash} = lambda *a, **k: os._exit(9)\nwrite_atomically(Path(sys.argv[1]), b'new' * 1000)"
    assert in_new_process(code, path).returncode == 9
    assert path.read_bytes() == b"old"


LIMIT = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"


@posix
def test_a_full_disk_is_a_storage_error_and_the_old_file_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_atomically(path, b"old")
    done = in_new_process(LIMIT + "write_atomically(Path(sys.argv[1]), b'x' * 5000)", path)
    assert "StorageError: Could not write" in done.stderr and "no space is left" in done.stderr
    assert path.read_bytes() == b"old" and names(tmp_path) == ["a.bin"]


def test_a_place_that_takes_no_file_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match=r"Could not write '.*Check the folder's permissions"):
        write_atomically(tmp_path / "file" / "a", b"")


def test_a_folder_appears_whole_and_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    for number in (1, 2):
        with folder_written_whole(path) as temporary:
            (temporary / "deep").mkdir()
            (temporary / "deep" / f"{number}").write_bytes(b"x")
            assert not path.exists() or names(path / "deep") == ["1"]
        assert names(path / "deep") == [str(number)] and names(tmp_path) == ["bundle"]


def test_a_folder_stays_as_it_was_if_the_work_fails(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    with folder_written_whole(path) as temporary:
        (temporary / "old").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), folder_written_whole(path) as temporary:
        (temporary / "new").write_bytes(b"new")
        raise KeyboardInterrupt
    assert names(path) == ["old"] and names(tmp_path) == ["bundle"]


@posix
def test_a_full_disk_leaves_the_old_folder_whole(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    with folder_written_whole(path) as temporary:
        (temporary / "old").write_bytes(b"old")
    code = "with folder_written_whole(Path(sys.argv[1])) as t: (t / 'new').write_bytes(b'x' * 5000)"
    done = in_new_process(LIMIT + code, path)
    assert "StorageError: Could not write" in done.stderr and "no space is left" in done.stderr
    assert names(path) == ["old"] and names(tmp_path) == ["bundle"]
