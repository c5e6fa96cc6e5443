"""Exit codes and messages after a user's mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from sskt_edge.targets.run_folder import TrainedNetwork
from tests.cli.run import Verb
from tests.training.small import text


@pytest.fixture
def one_message(verb: Verb, tmp_path: Path) -> Callable[..., None]:
    """Checks that words end with exit code 2, one message that has these parts, and nothing written."""

    def check(words: tuple[str, ...], *said: str) -> None:
        before = sorted(tmp_path.rglob("*"))
        code, shown, errors = verb(*words)
        assert (code, shown) == (2, ""), errors
        for part in said:
            assert part in errors
        assert sorted(tmp_path.rglob("*")) == before

    return check


def test_no_verb_shows_the_help(verb: Verb) -> None:
    _, said, errors = verb()
    for name in ("train", "export", "eval", "bench", "predict", "recipe", "networks", "doctor"):
        assert name in said + errors


def test_the_version_is_said(verb: Verb) -> None:
    assert verb("--version")[:2] == (0, f"sskt-edge {version('sskt-edge')}\n")


@pytest.mark.parametrize(("told", "threads"), [({}, "2"), ({"OMP_NUM_THREADS": "3"}, "3")])
def test_torch_is_held_to_the_quota_of_a_container(
    told: dict[str, str], threads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = """
import os, sys
from sskt_edge.cli import main
main.threads_for = lambda asked: 2
try:
    main.main()
except SystemExit:
    print(os.environ["OMP_NUM_THREADS"])
"""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    command = [sys.executable, "-c", code, "--version"]
    done = subprocess.run(command, env={**os.environ, **told}, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[1:] == [threads], done.stderr


def test_an_unknown_verb_is_an_error_of_input(one_message: Callable[..., None]) -> None:
    one_message(("trian", "x"), "No such command", "train")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("data.rot='x'", ("data.rot: unknown key. Nearest: 'root'",)),
        ("train.epochs='many'", ("train.epochs", "valid integer")),
        ("target.model='resnet21'", ("target.model: unknown value 'resnet21'. Nearest: 'resnet20'",)),
        ("data.image_size=4", ("data.image_size = 4", "at least 8 pixels")),
        ("sources.0.model='timm/nothing_like_it'", ("timm", "no network 'nothing_like_it'")),
        ("sources.0.model='run/nowhere'", ("sources.teacher.model = 'nowhere'",)),
        ("sources.0.model='onnx/no.onnx'", ("sources.teacher.model = 'no.onnx'",)),
        ("data={name='imagefolder',root='photos'}", ("data.root = 'photos'", "no file or folder of that name")),
    ],
)
def test_a_wrong_recipe_gets_one_message(
    change: str, said: tuple[str, ...], tiny_run: TrainedNetwork, one_message: Callable[..., None], tmp_path: Path
) -> None:
    (tmp_path / "r.toml").write_text(text(tiny_run.folder.path))
    one_message(("train", "r.toml", "--set", change), *said)


def test_a_missing_recipe_offers_the_nearest(one_message: Callable[..., None]) -> None:
    one_message(("train", "quikstart"), "No recipe 'quikstart'", "Nearest: 'quickstart'")


def test_a_file_that_is_no_toml_gets_one_message(one_message: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text("name = \n")
    one_message(("train", "r.toml"), "'r.toml' is not TOML", "line 1")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("export",), "No run in 'runs'"),
        (("eval",), "in its sub-folders or in those of bundles/"),
        (("eval", "nothing"), "No bundle at 'nothing'"),
        (("predict", "nothing", "x.png"), "No bundle at 'nothing'"),
        (("export", "nothing"), "No run at 'nothing'"),
        (("train", "quickstart", "--resume"), "No unfinished run"),
        (("recipe", "new", "--data", "photos"), "No folder of images at 'photos'"),
    ],
)
def test_what_is_not_there_is_named_with_what_to_do(
    words: tuple[str, ...], said: str, one_message: Callable[..., None]
) -> None:
    one_message(words, said)


def test_with_json_an_error_is_an_object_too(verb: Verb) -> None:
    code, said, errors = verb("eval", "nothing", "--json")
    error = json.loads(said)["error"]
    assert (code, error["kind"]) == (2, "BundleError")
    assert error["message"] in errors


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m sskt_edge.cli.main recipe schema | head -n 1"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "{\n"
    assert done.stderr == ""


@pytest.mark.parametrize("words", [(), ("labels",), ("recipe",)])
def test_no_line_of_a_list_of_commands_is_cut(
    words: tuple[str, ...], verb: Verb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, said, _ = verb(*words, "--help")
    assert code == 0
    assert "..." not in said.partition("Commands:")[2]
