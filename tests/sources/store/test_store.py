from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import sskt_edge
from sskt_edge.common.errors import DataError
from sskt_edge.sources.store.manifest import FILE_NAME
from sskt_edge.sources.store.store import LabelStore
from tests.sources.store.small import CLASSES, FACTS, add, collection_in, holds, keys_of, start


def test_equal_facts_share_their_labels(tmp_path: Path) -> None:
    add(collection_in(tmp_path), [1, 2])
    same = {"engine": "torch-fp32", "source": {"weights": "abc", "mean": [0.5, 0.5, 0.5]}, "model": "made/up"}
    assert holds(LabelStore(tmp_path).collection(same, CLASSES), [1, 2])


@pytest.mark.parametrize(
    "change",
    [{"engine": "torch-bf16"}, {"source": {"mean": (0.5, 0.5, 0.4), "weights": "abc"}}, {"new": None}, {"model": "b"}],
)
def test_facts_that_differ_in_one_value_share_nothing(change: dict[str, Any], tmp_path: Path) -> None:
    add(collection_in(tmp_path), [1])
    other = LabelStore(tmp_path).collection({**FACTS, **change}, CLASSES)
    assert other.path != collection_in(tmp_path).path and other.missing(keys_of([1])).all()


def test_another_form_shares_nothing(tmp_path: Path) -> None:
    store = LabelStore(tmp_path)
    forms = [(CLASSES, 0), (CLASSES, 1), (CLASSES, 2), (CLASSES + 1, 0)]
    assert len({store.collection(FACTS, *form).key for form in forms}) == 4
    assert store.collection(FACTS, CLASSES, CLASSES).key == store.collection(FACTS, CLASSES).key


def test_a_folder_is_named_after_its_model(tmp_path: Path) -> None:
    for model, stem in {
        "torchvision/resnet50": "torchvision-resnet50-",
        "run/../Runs/a b/": "run-runs-a-b-",
        "x" * 99 + "/end": "x" * 36 + "-end-",
        "../..": "-",
    }.items():
        collection = LabelStore(tmp_path).collection({"model": model}, 2)
        assert collection.path.parent == tmp_path and collection.path.name == stem + collection.key[:12]


def test_the_collections_on_the_disk_are_listed(tmp_path: Path) -> None:
    store = LabelStore(tmp_path / "store")
    assert store.collections() == []
    add(store.collection(FACTS, CLASSES), [1])
    add(store.collection({**FACTS, "engine": "other"}, CLASSES, top_k=3), [1, 2])
    (tmp_path / "store" / "of the user").mkdir()
    found = {(one.facts["engine"], one.top_k, one.rows) for one in store.collections()}
    assert found == {("torch-fp32", 0, 1), ("other", 3, 2)}
    assert all(not one.missing(keys_of([1])).any() for one in store.collections())


def test_a_broken_collection_is_named(tmp_path: Path) -> None:
    collection = collection_in(tmp_path)
    add(collection, [1])
    (collection.path / FILE_NAME).write_bytes(b"{")
    with pytest.raises(DataError, match=f"{collection.path.name}.*is broken"):
        LabelStore(tmp_path).collections()


def test_a_renamed_collection_is_named(tmp_path: Path) -> None:
    add(collection_in(tmp_path), [1])
    collection_in(tmp_path).path.rename(tmp_path / "mine")
    with pytest.raises(DataError, match=r"mine' is the collection .* renamed"):
        LabelStore(tmp_path).collections()


def test_the_nearest_collection_says_what_differs(tmp_path: Path) -> None:
    store = LabelStore(tmp_path)
    add(store.collection({**FACTS, "engine": "other", "batch": 8}, CLASSES), [1])
    add(store.collection(FACTS, CLASSES), [1])
    add(store.collection({**FACTS, "model": "made/up/too"}, CLASSES), [1])
    now = {**FACTS, "source": {"mean": (0.5, 0.5, 0.4), "weights": "abc", "input_size": 64}}
    with store.collection(now, CLASSES).held():
        pass  # on the disk, but empty
    found = store.nearest(now)
    assert found and found[0].key == store.collection(FACTS, CLASSES).key
    assert found[1] == [
        "source.input_size: not there then, 64 now",
        "source.mean: [0.5, 0.5, 0.5] then, [0.5, 0.5, 0.4] now",
    ]


def test_the_same_facts_in_another_form_differ_by_it_alone(tmp_path: Path) -> None:
    add(collection_in(tmp_path), [1])
    found = LabelStore(tmp_path).nearest(FACTS, top_k=5)
    assert found and found[1] == ["top_k: 0 then, 5 now"]


def test_nothing_is_near_another_model_or_a_broken_collection(tmp_path: Path) -> None:
    store = LabelStore(tmp_path / "store")
    assert store.nearest(FACTS) is None
    collection = store.collection(FACTS, CLASSES)
    add(collection, [1])
    assert store.nearest({**FACTS, "model": "other"}) is None
    (collection.path / FILE_NAME).write_bytes(b"{")
    assert store.nearest(FACTS) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_as_a_manifest_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    collection = collection_in(tmp_path)
    add(collection, range(10))
    (collection.path / "manifest.json").unlink()
    os.mkfifo(collection.path / "manifest.json")
    with pytest.raises(DataError, match="not a regular file"):
        LabelStore(tmp_path).collections()
    assert LabelStore(tmp_path).nearest(FACTS) is None


@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")
@pytest.mark.parametrize("linked", ["", "manifest.json"])
def test_labels_behind_a_link_are_refused_and_stay_as_they_are(linked: str, tmp_path: Path) -> None:
    theirs, mine = tmp_path / "theirs", tmp_path / "mine"
    add(collection_in(theirs), range(10))
    path = collection_in(mine).path
    if linked:
        path.mkdir(parents=True)
    else:
        mine.mkdir()
    (path / linked).symlink_to(theirs / path.name / linked)

    with pytest.raises(DataError, match="is a link"):
        LabelStore(mine).collections()
    with pytest.raises(DataError, match="is a link"):
        collection_in(mine).prune()
    assert holds(collection_in(theirs), range(10))
    (tmp_path / "whole").symlink_to(theirs)  # the store itself may be elsewhere
    assert len(LabelStore(tmp_path / "whole").collections()) == 1


def test_a_store_holds_nothing_but_collections_when_nobody_fills_it(tmp_path: Path) -> None:
    collection = collection_in(tmp_path)
    add(collection, range(10))
    assert [path.name for path in tmp_path.iterdir()] == [collection.path.name]
    collection.prune()
    assert list(tmp_path.iterdir()) == []


def test_what_a_crash_leaves_is_neither_listed_nor_in_the_way(tmp_path: Path) -> None:
    code = "collection = collection_in(Path(sys.argv[1]))\nwith collection.held(): os._exit(9)"
    with start(code, tmp_path) as process:
        process.communicate()
    assert process.returncode == 9
    assert [path.name for path in tmp_path.glob("[!.]*")] == [collection_in(tmp_path).path.name]
    assert len(LabelStore(tmp_path).collections()) == 1
    add(collection_in(tmp_path), range(10))
    assert [path.name for path in tmp_path.iterdir()] == [collection_in(tmp_path).path.name]


def test_the_store_needs_nothing_heavy() -> None:
    package = Path(sskt_edge.__file__).parent
    names = [f"sskt_edge.sources.store.{path.stem}" for path in package.glob("sources/store/[a-z]*.py")]
    code = f"import importlib, sys\nfor name in {names}: importlib.import_module(name)\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    others = {name.partition(".")[0] for name in loaded} - set(sys.stdlib_module_names)
    assert "sskt_edge.sources.store.store" in loaded
    assert {name for name in others if not name.startswith("_")} <= {"sskt_edge", "numpy", "safetensors"}


def test_a_collection_that_cannot_be_read_stands_in_no_ones_way(tmp_path: Path) -> None:
    add(collection_in(tmp_path), [1])
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / FILE_NAME).write_text("{")
    store = LabelStore(tmp_path)
    near = store.nearest({**FACTS, "engine": "other"})
    assert near is not None and near[0].path == collection_in(tmp_path).path
    assert [one.path for one in store.collections(skip_broken=True)] == [near[0].path]
    with pytest.raises(DataError, match="is broken"):
        store.collections()


def test_shards_without_a_manifest_are_found(tmp_path: Path) -> None:
    collection, store = collection_in(tmp_path), LabelStore(tmp_path)
    add(collection, [1])
    (tmp_path / "of the user").mkdir()
    assert store.lost() == []
    (collection.path / FILE_NAME).unlink()
    assert store.lost() == [collection.path]
    assert store.collections() == []
