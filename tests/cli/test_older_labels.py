"""Soft labels as an earlier version stored them, of a run that it trained."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from sskt_edge.sources.store.collection import Collection
from sskt_edge.sources.store.store import LabelStore
from tests.cli.run import Verb
from tests.older import HERE, unpacked

OF_THE_MACHINE = {"threads", "processor", "versions"}


def by_view(collection: Collection) -> dict[bytes, np.ndarray]:
    """The logits of a collection of one shard, each by the key of its view."""
    (shard,) = collection.path.glob("*.safetensors")
    arrays = load_file(shard)
    return {key.tobytes(): row for key, row in zip(arrays["keys"], arrays["logits"], strict=True)}


def facts(collection: Collection) -> tuple[dict[str, object], dict[str, object]]:
    """What decides the labels, and what of it is this machine's and its packages'."""
    found = {name: value for name, value in collection.facts.items() if name not in {"engine", "pillow"}}
    engine = dict(collection.facts["engine"])
    machine = {name: engine.pop(name) for name in sorted(OF_THE_MACHINE & engine.keys())}
    return {**found, "engine": engine}, {**machine, "pillow": collection.facts["pillow"]}


def test_older_labels_are_asked_again_only_for_what_the_machine_changes(verb: Verb, tmp_path: Path) -> None:
    unpacked("run_version2", tmp_path / "runs")
    shutil.unpack_archive(HERE / "labels.zip", tmp_path / "labels")
    (older,) = LabelStore(tmp_path / "labels").collections()
    code, said, errors = verb("labels", "verify")
    assert (code, "1: all intact" in said) == (0, True), errors

    recipe = tmp_path / "pupil.toml"
    recipe.write_text((HERE / "pupil.toml").read_text())
    code, _, errors = verb("labels", "fill", "pupil.toml")
    assert code == 2 and 'write view = "upsampled" in each [[sources]]' in errors
    today = (
        recipe.read_text().replace('see = "upsampled", ', "").replace('runs/older"', 'runs/older", view = "upsampled"')
    )
    recipe.write_text(today)

    code, _, errors = verb("labels", "fill", "pupil.toml", "--set", "labels.store=anew")
    assert code == 0, errors
    (anew,) = LabelStore(tmp_path / "anew").collections()
    (decides, here), (decided, there) = facts(anew), facts(older)
    assert decides == decided
    rows, before = by_view(anew), by_view(older)
    assert rows.keys() == before.keys()
    assert max(np.abs(rows[key] - before[key]).max() for key in rows) < 0.01

    code, said, errors = verb("labels", "fill", "pupil.toml", "--json")
    assert code == 0, errors
    filled = json.loads(said)["older"]
    assert filled["asked"] == (0 if here == there else len(rows))
