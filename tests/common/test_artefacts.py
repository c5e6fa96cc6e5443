"""A folder of the wrong kind is named for what it is, with the next command."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sskt_edge.bundle.bundle import Bundle, open_bundle
from sskt_edge.common.artefacts import kind_of
from sskt_edge.common.errors import BundleError, InputError, RecipeError, RunError
from sskt_edge.recipe.load import load_recipe
from sskt_edge.targets.run_folder import TrainedNetwork, read_run
from tests.sources.store.small import add, collection_in


@pytest.fixture
def place(tiny_run: TrainedNetwork, tiny_bundle: Bundle, tmp_path: Path) -> Path:
    """A run, an unfinished one, a bundle, a store of labels and an empty folder."""
    shutil.copytree(tiny_run.folder.path, tmp_path / "run")
    shutil.copytree(tiny_run.folder.path, tmp_path / "stopped")
    (tmp_path / "stopped" / "result.json").unlink()
    shutil.copytree(tiny_bundle.path, tmp_path / "bundle")
    add(collection_in(tmp_path / "labels"), range(10))
    collection_in(tmp_path / "labels").path.rename(tmp_path / "labels" / "one")
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_every_kind_is_known_by_its_files(place: Path) -> None:
    kinds = {
        name: kind_of(place / name) for name in ("run", "stopped", "bundle", "labels", "labels/one", "empty", "no")
    }
    assert kinds == {
        **dict.fromkeys(("run", "stopped"), "run"),
        "bundle": "bundle",
        "labels": "store of labels",
        "labels/one": "collection of labels",
        **dict.fromkeys(("empty", "no"), ""),
    }


@pytest.mark.parametrize(
    ("read", "error", "name", "command"),
    [
        (open_bundle, BundleError, "run", r"is a run\. .*sskt-edge export \S*run$"),
        (open_bundle, BundleError, "stopped", r"unfinished run\. .*sskt-edge train \S*stopped --resume"),
        (open_bundle, BundleError, "labels", r"store of labels\. .*labels list --store \S*labels$"),
        (open_bundle, BundleError, "labels/one", r"collection of labels\. .*labels list --store \S*labels$"),
        (read_run, RunError, "bundle", r"is a bundle\. .*sskt-edge eval \S*bundle$"),
        (read_run, RunError, "labels", r"store of labels\."),
        (load_recipe, RecipeError, "run", r"is a run\. Its recipe is '\S*run/recipe\.toml'"),
        (load_recipe, RecipeError, "bundle", r"is a bundle\. "),
    ],
)
def test_the_wrong_kind_is_named_with_the_next_command(
    read: Callable[[str], object], error: type[InputError], name: str, command: str, place: Path
) -> None:
    with pytest.raises(error, match=command):
        read(str(place / name))


def test_a_bundle_that_lost_a_file_is_still_a_bundle(place: Path) -> None:
    (place / "bundle" / "golden.safetensors").unlink()
    with pytest.raises(BundleError, match=r"golden\.safetensors' cannot be read"):
        open_bundle(place / "bundle")
