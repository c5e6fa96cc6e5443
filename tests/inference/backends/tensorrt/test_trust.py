from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from sskt_edge.common.errors import InputError, StorageError
from sskt_edge.inference.backends.tensorrt.trust import is_own, list_path, remember

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no variable moves the state folder")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def sha256(number: int) -> str:
    return hashlib.sha256(bytes([number])).hexdigest()


def test_what_was_remembered_is_own_and_nothing_else(state: Path) -> None:
    assert not is_own(sha256(1))
    remember(sha256(1))
    remember(sha256(2))
    remember(sha256(1))
    assert is_own(sha256(1)) and is_own(sha256(2))
    assert not any(map(is_own, (sha256(3), sha256(1)[:32], sha256(1).upper(), "")))
    assert state in list_path().parents and len(list_path().read_text().split()) == 2


@pytest.mark.parametrize(
    "content",
    [b"\x80\x81", b"x" * 64 + b"\n", sha256(1)[:60].encode(), b"\n", b"*\n", sha256(1).encode() + b"  x.plan"],
)
def test_of_a_broken_list_nothing_is_trusted(content: bytes) -> None:
    remember(sha256(1))
    whole = list_path().read_bytes() + content
    list_path().write_bytes(whole)
    for use in (is_own, remember):
        with pytest.raises(InputError, match=f"'{list_path()}', cannot be read: .* Remove it"):
            use(sha256(1))
    assert list_path().read_bytes() == whole
    list_path().unlink()
    assert not is_own(sha256(1))


def test_a_folder_in_the_place_of_the_list_is_told() -> None:
    list_path().mkdir(parents=True)
    with pytest.raises(InputError, match=r"cannot be read: Is a directory\. Remove it"):
        is_own(sha256(1))


def test_only_a_whole_hash_is_remembered() -> None:
    for wrong in ("", "a" * 63, sha256(1) + "\n", "A" * 64, "*"):
        with pytest.raises(InputError, match="expected 64 hexadecimal digits"):
            remember(wrong)
    assert not list_path().exists()


def test_a_place_that_takes_no_list_is_a_storage_error(state: Path) -> None:
    state.write_bytes(b"")
    with pytest.raises(StorageError, match="Could not write"):
        remember(sha256(1))


REMEMBER = """
import hashlib, sys
from sskt_edge.inference.backends.tensorrt.trust import remember
first = int(sys.argv[1])
sys.stdin.readline()
for number in range(first, first + 20):
    remember(hashlib.sha256(bytes([number])).hexdigest())
"""


def test_processes_that_remember_at_once_lose_nothing() -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", REMEMBER, str(first)], stdin=subprocess.PIPE, text=True)
        for first in (0, 20)
    ]
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.close()
    assert [process.wait(60) for process in processes] == [0, 0]
    assert all(is_own(sha256(number)) for number in range(40))
