"""The command that is printed as the next one can be pasted, and does what was just prepared."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.bundle.tiny import write_bundle, write_images
from tests.cli.run import Verb

SMALL = ("--set", "train.epochs=3", "--set", "data.root=my data")


def next_commands(said: str) -> list[list[str]]:
    """The words of each command behind "next:", as a shell reads them."""
    _, _, commands = said.partition("\nnext: ")
    return [shlex.split(line) for line in commands.splitlines()]


@pytest.fixture
def recipe(verb: Verb, tmp_path: Path) -> str:
    """A recipe's file whose name has a blank and begins like an option."""
    (tmp_path / "-my recipe.toml").write_text(verb("recipe", "show", "quickstart")[1])
    return "./-my recipe.toml"


def test_check_is_followed_by_the_training_of_what_was_checked(verb: Verb, recipe: str) -> None:
    code, said, _ = verb("recipe", "check", recipe, *SMALL)
    ((program, *words),) = next_commands(said)
    assert (code, program, words) == (0, "sskt-edge", ["train", recipe, *SMALL])
    again = verb("recipe", "check", *words[1:])
    assert again[1] == said
    (words,) = next_commands(verb("recipe", "check", "--", recipe.removeprefix("./"))[1])
    assert words == ["sskt-edge", "train", recipe]


def test_a_new_recipe_is_followed_by_its_training(verb: Verb, tmp_path: Path) -> None:
    write_images(tmp_path / "my photos")
    _, said, _ = verb("recipe", "new", "--data", "my photos", "--out", "it's mine.toml", "--scratch")
    train, compare = next_commands(said)
    assert train == ["sskt-edge", "train", "it's mine.toml"]
    assert compare[:3] == ["sskt-edge", "compare", "it's mine.toml"]
    assert compare[3:] == ["--method", "scratch", "--method", "sskt", "--method", "probe", "--seeds", "10"]
    head = (tmp_path / "it's mine.toml").read_text().splitlines()[1]
    assert shlex.split(head.removeprefix("# ")) == ["sskt-edge", "train", "it's mine.toml"]
    assert verb("recipe", "check", "it's mine.toml")[0] == 0


def test_an_evaluation_is_followed_by_more_images_and_its_bench(verb: Verb, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    write_bundle(tmp_path / "my bundle")
    asked = ("--precision", "fp32", "--backend", "onnxruntime", "--provider", "cpu")
    code, said, _ = verb("eval", "my bundle", *asked, "--threads", "1")
    assert code == 0
    assert next_commands(said) == [
        ["sskt-edge", "eval", "my bundle", "--data", "FOLDER", *asked, "--threads", "1"],
        ["sskt-edge", "bench", "my bundle", *asked, "--threads", "1"],
        ["sskt-edge", "predict", "my bundle", "IMAGE…", *asked],
    ]


def test_a_store_that_was_named_is_named_again(verb: Verb, tmp_path: Path) -> None:
    (tmp_path / "my labels").mkdir()
    code, _, errors = verb("labels", "prune", "nothing", "--store", "my labels")
    assert code == 2
    assert errors.rstrip().endswith("sskt-edge labels list --store 'my labels'")
