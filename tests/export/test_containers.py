"""The container files, read: their base images, their user, and their default command."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from sskt_edge.cli.main import app
from tests.export.pages import DOCKERFILES, KIT, PAGES, name_of, rows_of, shell_lines, text_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EXTRAS = set(
    tomllib.loads((KIT.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
)
README = KIT / "containers" / "README.md"


def instructions(path: Path) -> list[tuple[str, str]]:
    """The instructions with their arguments, comments left out, continued lines joined."""
    lines = [line for line in text_of(path).splitlines() if line.strip() and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [(name, " ".join(rest.split())) for name, _, rest in (line.partition(" ") for line in joined)]


def argument(path: Path, name: str) -> str:
    values = [rest for word, rest in instructions(path) if word == "ARG" and rest.startswith(f"{name}=")]
    return shlex.split(values[0])[0].partition("=")[2]


def only(path: Path, name: str) -> str:
    (value,) = [rest for word, rest in instructions(path) if word == name]
    return value


def test_there_is_one_for_each_kind_of_machine() -> None:
    assert [path.name for path in DOCKERFILES] == ["cpu.Dockerfile", "jetson.Dockerfile", "server.Dockerfile"]
    assert {re.findall(r"\(([^)]+)\)", row[0])[0] for row in rows_of(README, "file")} == {
        path.name for path in DOCKERFILES
    }


@pytest.mark.parametrize("path", DOCKERFILES, ids=name_of)
class TestContainerFile:
    def test_its_first_line_says_what_was_not_built(self, path: Path) -> None:
        assert text_of(path).startswith("# Not built")

    def test_its_base_image_is_an_argument_with_a_tag_and_the_page_names_it(self, path: Path) -> None:
        base = argument(path, "BASE")
        assert re.fullmatch(r"[\w./-]+:[\w.-]+", base) and not base.endswith(":latest")
        assert only(path, "FROM") == "${BASE}"
        (row,) = [row for row in rows_of(README, "file") if f"({path.name})" in row[0]]
        assert f"`{base}`" in row[1]

    def test_its_extras_exist(self, path: Path) -> None:
        assert set(argument(path, "EXTRAS").split(",")) <= EXTRAS

    def test_it_runs_as_nobody_in_particular_and_its_state_is_a_volume(self, path: Path) -> None:
        assert only(path, "USER") == "${UID}:${GID}"
        assert int(argument(path, "UID")) > 0
        assert f"XDG_STATE_HOME={only(path, 'VOLUME')} " in only(path, "ENV")
        assert "/state" in only(path, "RUN").rpartition("chown")[2]

    def test_what_it_runs_is_shell(self, path: Path) -> None:
        done = subprocess.run(["sh", "-n"], input=only(path, "RUN"), capture_output=True, text=True, check=False)
        assert done.stderr == ""

    def test_it_takes_nothing_but_the_wheel_into_the_image(self, path: Path) -> None:
        assert only(path, "COPY") == "sskt_edge-*.whl /wheel/"

    def test_its_default_is_a_command_that_parses(self, path: Path) -> None:
        assert json.loads(only(path, "ENTRYPOINT")) == ["sskt-edge"]
        verb, *rest = json.loads(only(path, "CMD"))
        assert (verb, rest) == ("eval", ["/bundle"])
        root = typer.main.get_command(app)
        root.commands[verb].make_context(verb, rest)  # type: ignore[attr-defined]


def test_the_build_commands_name_files_and_arguments_that_are_there() -> None:
    commands = [shlex.split(line) for line in shell_lines(README) if line.startswith("docker build")]
    assert len(commands) >= len(DOCKERFILES)
    for words in commands:
        file = KIT.parent / words[words.index("-f") + 1]
        assert file in DOCKERFILES
        given = [words[at + 1].partition("=") for at, word in enumerate(words) if word == "--build-arg"]
        for name, _, value in given:
            assert argument(file, name)
            assert name != "EXTRAS" or set(value.split(",")) <= EXTRAS


def test_what_is_run_was_built_and_engines_are_built_in_a_writable_folder() -> None:
    lines = shell_lines(README)
    built = {words[words.index("-t") + 1] for words in map(shlex.split, lines) if words[:2] == ["docker", "build"]}
    runs = [line for line in lines if line.startswith("docker run")]
    assert runs
    for line in runs:
        (image,) = re.findall(r"\bsskt-edge:\w+", line)
        assert image in built
        assert ("--trt" in line) != ("/bundle:ro" in line)
        assert image == "sskt-edge:cpu" or "sskt-edge-state:/state" in line


def test_extras_in_the_pages_exist() -> None:
    found = {
        extra
        for path in [*PAGES, *DOCKERFILES]
        for extras in re.findall(r"(?:\.whl|sskt-edge)\[([a-z,]+)\]", text_of(path))
        for extra in extras.split(",")
    }
    assert {"cpu", "gpu", "rtx", "tensorrt", "openvino"} <= found <= EXTRAS
