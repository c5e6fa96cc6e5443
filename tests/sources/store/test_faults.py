"""What the store survives, each fault made for real: kills, a full disk, a second process, a small memory."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sskt_edge.common.errors import StorageError
from sskt_edge.sources.store.store import LabelStore
from tests.sources.store.small import add, collection_in, holds, keys_of, logits_of, start

ROOT = Path(__file__).parents[3]
posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX limits")


@pytest.mark.slow
def test_a_kill_at_any_moment_costs_one_shard_and_nothing_is_asked_twice() -> None:
    script = ROOT / "benchmarks" / "kill_label_filling.py"
    done = subprocess.run([sys.executable, script, "--kills", "30"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| kills | 30 |" in done.stdout
    assert "| stored labels that were asked again | 0 |" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("call", "number"), [*(("fsync", n) for n in range(8)), *(("replace", n) for n in range(4))])
def test_a_crash_at_any_step_of_writing_keeps_all_earlier_shards(call: str, number: int, tmp_path: Path) -> None:
    add(collection_in(tmp_path), range(10))
    code = f"""
before, left = os.{call}, [{number}]
def crash(*arguments):
    if not left[0]:
        os._exit(9)
    left[0] -= 1
    return before(*arguments)
os.{call} = crash
add(collection_in(Path(sys.argv[1])), range(10, 40))
"""
    with start(code, tmp_path) as process:
        _, said = process.communicate()
    collection = collection_in(tmp_path)
    missing = np.flatnonzero(collection.missing(keys_of(range(40))))
    assert process.returncode == 9, said
    assert set(missing) <= set(range(10, 40)) and len(missing) % 10 == 0 and collection.verify() == []
    add(collection, missing)
    assert holds(collection, range(40))


@posix
@pytest.mark.parametrize("number", range(4))
def test_a_full_disk_at_any_step_leaves_a_store_that_goes_on(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection, calls, fsync = collection_in(tmp_path), [0], os.fsync
    add(collection, range(10))

    def full(descriptor: int) -> None:
        calls[0] += 1
        if calls[0] > number:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"no space is left on the disk. Free some space"):
        add(collection, range(10, 30))
    monkeypatch.undo()
    assert calls[0] == number + 1, "a full disk is not asked again at once"
    missing = np.flatnonzero(collection.missing(keys_of(range(30))))
    # The last of a shard's four fsyncs comes when its manifest has its name already.
    assert missing.tolist() == list(range(10 if number < 3 else 20, 30)) and collection.verify() == []
    add(collection, missing)
    assert holds(collection, range(30)) and len(list(collection.path.iterdir())) == 4


@posix
def test_a_file_that_the_disk_does_not_take_is_a_storage_error(tmp_path: Path) -> None:
    code = """
import resource
from sskt_edge.common.errors import StorageError
collection = collection_in(Path(sys.argv[1]))
add(collection, range(10))
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
try:
    add(collection, range(10, 200), shard=100)
except StorageError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert holds(collection, range(10)) and collection.rows == 10
add(collection, range(10, 200), shard=100)
assert holds(collection, range(200))
"""
    with start(code, tmp_path) as process:
        printed, said = process.communicate()
    assert process.returncode == 0, said
    assert "Could not write" in printed and "no space is left on the disk" in printed and ".safetensors" in printed
    assert holds(collection_in(tmp_path), range(200))


@pytest.mark.parametrize("number", range(6))
def test_a_crash_at_any_step_of_pruning_leaves_a_collection(number: int, tmp_path: Path) -> None:
    add(collection_in(tmp_path), range(30))
    code = f"""
before, left = os.unlink, [{number}]
def crash(*arguments):
    if not left[0]:
        os._exit(9)
    left[0] -= 1
    return before(*arguments)
os.unlink = crash
collection_in(Path(sys.argv[1])).prune()
"""
    with start(code, tmp_path) as process:
        _, said = process.communicate()
    assert process.returncode == (9 if number < 5 else 0), said
    collection = collection_in(tmp_path)
    assert collection.missing(keys_of(range(30))).all() and collection.verify() == []
    add(collection, range(30))
    assert holds(collection, range(30)) and len(list(collection.path.iterdir())) == 4


FILL = """
from sskt_edge.common.progress import Quiet
class Loud(Quiet):
    def say(self, line): print(line, flush=True)
collection, keys = collection_in(Path(sys.argv[1])), keys_of(range(100))
with collection.held(Loud()), collection.writer({}, rows=10) as writer:
    print("held", flush=True)
    while not (Path(sys.argv[1]) / "go").exists():
        time.sleep(0.01)
    for row in np.flatnonzero(collection.missing(keys)):
        print("asked", flush=True)
        writer.add(keys[[row]], logits_of([row]))
"""


@pytest.mark.slow
def test_a_second_filler_waits_and_finds_everything_there(tmp_path: Path) -> None:
    with start(FILL, tmp_path) as first:
        assert first.stdout and first.stdout.readline() == "held\n"
        with start(FILL, tmp_path) as second:
            assert second.stdout and second.stdout.readline().startswith(f"Waiting for process {first.pid} ")
            (tmp_path / "go").touch()
            printed, said = second.communicate()
        assert second.returncode == 0, said
        assert first.communicate()[0].count("asked") == 100 and first.returncode == 0
    assert printed == "held\n"
    assert collection_in(tmp_path).rows == 100 and holds(collection_in(tmp_path), range(100))


SMALL_MEMORY = """
import resource
collection, keys = LabelStore(Path(sys.argv[1])).collection({"model": "wide"}, 4096), keys_of(range(4096))
used = 1024 * int(next(line for line in open("/proc/self/status") if line.startswith("VmData")).split()[1])
resource.setrlimit(resource.RLIMIT_DATA, (used + 2**24, resource.RLIM_INFINITY))
try:
    b"".join(path.read_bytes() for path in collection.path.glob("*.safetensors"))
    raise SystemExit("the limit does not hold")
except MemoryError:
    pass
stored = collection.open(keys)
for start in range(0, 4096, 64):
    slots = np.arange(start, start + 64)[::-1]
    assert (stored.read(slots)[:, 0] == slots.astype(np.float16)).all()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's limit of data and /proc")
def test_a_store_larger_than_the_memory_is_read(tmp_path: Path) -> None:
    collection = LabelStore(tmp_path).collection({"model": "wide"}, 4096)
    with collection.held(), collection.writer({}, rows=1024) as writer:
        for rows in np.arange(4096).reshape(-1, 256):
            writer.add(keys_of(rows), np.repeat(rows[:, None], 4096, axis=1).astype(np.float32))
    assert collection.bytes > 2 * 2**24
    with start(SMALL_MEMORY, tmp_path) as process:
        _, said = process.communicate()
    assert process.returncode == 0, said


FEW_FILES = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (150, 150))
assert holds(collection_in(Path(sys.argv[1])), np.arange(200)[::-1])
"""


@pytest.mark.slow
@posix
def test_more_shards_than_a_process_may_open_files_are_read(tmp_path: Path) -> None:
    collection = collection_in(tmp_path)
    with collection.held(), collection.writer({}, rows=1) as writer:
        for row in range(200):
            writer.add(keys_of([row]), logits_of([row]))
    assert len(collection.shards) == 200
    with start(FEW_FILES, tmp_path) as process:
        _, said = process.communicate()
    assert process.returncode == 0, said
