"""What is opened while a bundle is used: its own files, and none of those that lie around it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from sskt_edge.bundle.bundle import Bundle
from sskt_edge.common.telemetry import SWITCHES
from tests.cli.run import sskt_edge
from tests.native import CI, NativeWatch, native_watch

pytestmark = pytest.mark.slow

# Loaded by every Python process that the verb starts: a line for each path that it opens or changes.
WATCH = """
import json, os, sys
log, WRITES = open(os.environ["WATCHED"], "a", buffering=1), os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
# Event → which of its arguments is a descriptor of the folder that the path starts from, if one is.
CHANGES = {"os.remove": 1, "os.rmdir": 1, "os.mkdir": 2, "os.chmod": 2, "os.truncate": None, "os.rename": None}

def told(path, changed, folder=-1):
    if isinstance(path, (str, bytes, os.PathLike)):
        around = os.getcwd() if folder == -1 else os.readlink(f"/proc/self/fd/{folder}")
        log.write(json.dumps([os.path.normpath(os.path.join(around, os.fsdecode(path))), changed]) + "\\n")

def watch(event, args):
    if event == "open":
        told(args[0], bool(set(args[1] or "") & set("wax+")) or bool(args[2] & WRITES))
    elif event in CHANGES:
        told(args[0], True, -1 if CHANGES[event] is None else args[CHANGES[event]])
    if event == "os.rename":
        told(args[1], True)

sys.addaudithook(watch)
"""
VERBS = {
    "eval": ["eval"],
    "bench": ["bench", "--backend", "onnxruntime", "--runs", "1"],
    "predict": ["predict", "bundles/tiny", "red.png"],
    "export --trt": ["export", "bundles/tiny", "--trt"],
    "export --triton": ["export", "bundles/tiny", "--triton", "made/models"],
}
# Where a verb may read and write: the bundle, what its words name, temporary files and the list of own engines.
OWN = ("bundles/tiny", "made", "red.png", "temporary", "state")


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> NativeWatch | None:
    """Watches what Python's audit hooks do not see, where it can be compiled."""
    return native_watch(tmp_path_factory.mktemp("native"))


@pytest.fixture
def home(tmp_path: Path, tiny_bundle: Bundle) -> Path:
    """A user's folder with a bundle in it that has links to what is around it."""
    path = tmp_path.resolve()
    shutil.copytree(tiny_bundle.path, path / "bundles" / "tiny")
    (path / "precious.onnx").write_bytes(b"somebody's")
    (path / "bundles" / "tiny" / "more.onnx").symlink_to(path / "precious.onnx")
    (path / "bundles" / "tiny" / "weights").symlink_to(path)
    Image.new("RGB", (16, 16), "red").save(path / "red.png")
    for folder in ("made", "temporary", "state", "watch"):
        (path / folder).mkdir()
    (path / "watch" / "sitecustomize.py").write_text(WATCH)
    return path


def opened(home: Path, native: NativeWatch | None, *words: str) -> list[tuple[Path, bool]]:
    """Run the verb, which asks the network nothing; every path that was opened, and whether it was changed."""
    ran = sskt_edge(
        *words,
        cwd=home,
        HOME=str(home),
        TMPDIR=str(home / "temporary"),
        XDG_STATE_HOME=str(home / "state"),
        PYTHONPATH=str(home / "watch"),
        PYTHONDONTWRITEBYTECODE="1",
        WATCHED=str(home / "watch" / "log"),
        **(native.environment(home / "watch" / "native") if native else {}),
    )
    assert ran.returncode == 0, ran.stderr
    lines = (home / "watch" / "log").read_text().splitlines()
    seen = [(Path(path), changed) for path, changed in map(json.loads, lines)]
    if native is None:
        return seen
    told = native.seen(home / "watch" / "native")
    assert [what for kind, what in told if kind == "network"] == []
    return [*seen, *((Path(what), kind == "change") for kind, what in told)]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="what a descriptor is of is read there")
@pytest.mark.parametrize("verb", VERBS)
def test_no_file_outside_of_the_bundle_is_read_or_written(
    verb: str, home: Path, native: NativeWatch | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*CI, *SWITCHES):
        monkeypatch.delenv(name, raising=False)
    if verb == "export --trt":
        pytest.importorskip("tensorrt_rtx")
    seen = opened(home, native, *VERBS[verb])
    assert home / "bundles" / "tiny" / "manifest.json" in {path for path, _ in seen}
    own = [home / name for name in OWN]
    strange = {
        path
        for path, changed in seen
        if (changed or home in path.parents) and not any(place in (path, *path.parents) for place in own)
    }
    assert {path for path in strange - {Path("/dev/null")} if home / "watch" not in path.parents} == set()
    assert (home / "precious.onnx").read_bytes() == b"somebody's"


def test_the_watch_sees_what_is_opened_elsewhere(home: Path, native: NativeWatch | None) -> None:
    """Without this the tests above could not fail."""
    (home / "watch" / "sitecustomize.py").write_text(
        f"{WATCH}\nopen({str(home / 'precious.onnx')!r}).close()\nopen({str(home / 'new')!r}, 'w').close()\n"
    )
    assert {(home / "precious.onnx", False), (home / "new", True)} <= set(opened(home, native, "eval"))
