from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from sskt_edge.inference.backends.tensorrt import flavours, trust
from sskt_edge.inference.backends.tensorrt.cache import cached_engine
from tests.inference.backends.tensorrt.nets import SIDE, network

pytest.importorskip("tensorrt_rtx")


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache and a list of own engines for each test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


def engine(batch: int = 4) -> bytes:
    return cached_engine(network(), (SIDE, SIDE, 3), batch, "fp32", flavours.choose("tensorrt_rtx"))


def plans(home: Path) -> list[Path]:
    return sorted((home / "cache" / "sskt-edge" / "engines").glob("*.plan"))


def test_an_engine_is_built_once_and_is_this_users_own(own_home: Path) -> None:
    first = engine()
    (plan,) = plans(own_home)
    changed = plan.stat().st_mtime_ns
    assert engine() == first == plan.read_bytes()
    assert plan.stat().st_mtime_ns == changed
    assert len((own_home / "state" / "sskt-edge" / "own-engines.txt").read_text().split()) == 1


@pytest.mark.slow
def test_another_batch_is_another_engine(own_home: Path) -> None:
    engine(4)
    engine(5)
    assert len(plans(own_home)) == 2


@pytest.mark.slow
@pytest.mark.parametrize("how", ["changed", "somebody else's", "no sidecar", "broken sidecar"])
def test_what_lies_in_the_cache_and_is_not_what_was_built_is_built_again(how: str, own_home: Path) -> None:
    engine()
    (plan,) = plans(own_home)
    changed = plan.stat().st_mtime_ns
    if how == "changed":
        plan.write_bytes(b"anything")
    elif how == "somebody else's":
        trust.list_path().unlink()
    elif how == "no sidecar":
        plan.with_suffix(".json").unlink()
    else:
        plan.with_suffix(".json").write_text("{")
    again = engine()
    assert plan.read_bytes() == again != b"anything"
    assert plan.stat().st_mtime_ns != changed
    assert trust.is_own(hashlib.sha256(again).hexdigest())
