"""Exit codes and messages: what a user sees who does something wrong."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest

from sskt_edge.targets.run_folder import TrainedNetwork
from tests.cli.run import sskt_edge
from tests.training.small import text


def assert_one_message(words: tuple[str, ...], cwd: Path, *said: str) -> None:
    """Exit code 2, one message with these parts, no traceback, nothing written."""
    before = sorted(cwd.rglob("*"))
    done = sskt_edge(*words, cwd=cwd)
    assert done.returncode == 2, done
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    for part in said:
        assert part in done.stderr
    assert sorted(cwd.rglob("*")) == before


def test_no_verb_shows_the_help(tmp_path: Path) -> None:
    done = sskt_edge(cwd=tmp_path)
    for verb in ("train", "export", "eval", "bench", "predict", "recipe", "networks", "doctor"):
        assert verb in done.stdout + done.stderr


def test_the_version_is_said(tmp_path: Path) -> None:
    done = sskt_edge("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"sskt-edge {version('sskt-edge')}\n")


def test_an_unknown_verb_is_an_error_of_input(tmp_path: Path) -> None:
    assert_one_message(("trian", "x"), tmp_path, "No such command", "train")


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
    change: str, said: tuple[str, ...], tiny_run: TrainedNetwork, tmp_path: Path
) -> None:
    (tmp_path / "r.toml").write_text(text(tiny_run.folder.path))
    assert_one_message(("train", "r.toml", "--set", change), tmp_path, *said)


def test_a_missing_recipe_offers_the_nearest(tmp_path: Path) -> None:
    assert_one_message(("train", "quikstart"), tmp_path, "No recipe 'quikstart'", "Nearest: 'quickstart'")


def test_a_file_that_is_no_toml_gets_one_message(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text("name = \n")
    assert_one_message(("train", "r.toml"), tmp_path, "'r.toml' is not TOML", "line 1")


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
def test_what_is_not_there_is_named_with_what_to_do(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    assert_one_message(words, tmp_path, said)


def test_with_json_an_error_is_an_object_too(tmp_path: Path) -> None:
    done = sskt_edge("eval", "nothing", "--json", cwd=tmp_path)
    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert error["kind"] == "BundleError"
    assert error["message"] in done.stderr


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    import subprocess
    import sys

    command = f"{sys.executable} -m sskt_edge.cli.main recipe schema | head -n 1"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "{\n"
    assert done.stderr == ""
