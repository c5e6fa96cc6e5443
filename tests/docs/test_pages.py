"""What the pages name exists: links, files, extras, targets of make; and the README is short."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from tests.docs.pages import MEASUREMENTS, PAGES, README, REPOSITORY, name_of
from tests.export.pages import shell_lines, spans, text_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytestmark = pytest.mark.docs


def test_the_readme_has_at_most_130_lines() -> None:
    assert len(text_of(README).splitlines()) <= 130


@pytest.mark.parametrize("page", [*PAGES, *MEASUREMENTS], ids=name_of)
def test_links_lead_to_files_of_the_repository(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", text_of(page))
    own = [link.partition("#")[0] for link in links if not re.match(r"\w+:", link)]
    missing = [link for link in own if link and not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_named_in_the_text_exist(page: Path) -> None:
    named = [
        span for span in spans(page) if re.fullmatch(r"(sskt_edge|recipes|docs|tests|benchmarks|export)/[\w./-]*", span)
    ]
    missing = [span for span in named if not (REPOSITORY / span).exists() and not span.startswith("sskt_edge/shipped/")]
    assert missing == []


def test_files_and_names_of_the_contributors_page_exist() -> None:
    page, package = REPOSITORY / "CONTRIBUTING.md", REPOSITORY / "sskt_edge"
    steps = re.findall(r"^ {4}(\w+/[\w/]+\.py) +(\w+) ", text_of(page), re.MULTILINE)
    assert len(steps) == 6
    for file, name in steps:
        assert re.search(rf"^(def|class) {name}\b", text_of(package / file), re.MULTILINE), f"{file}: {name}"
    rooms = {path.name for path in package.iterdir() if path.is_dir()}
    named = [span for span in spans(page) if span.partition("/")[0] in rooms and re.fullmatch(r"[\w/]+\.py", span)]
    missing = [span for span in named if not (package / span).is_file()]
    assert missing == []


def test_every_page_of_the_readme_is_linked_from_it() -> None:
    linked = set(re.findall(r"\]\((docs/[\w-]+\.md)", text_of(README)))
    pages = {name_of(page) for page in PAGES if name_of(page).startswith("docs/")}
    assert pages - linked == {"docs/index.md", "docs/deployment.md"}


def test_the_extras_that_the_pages_install_exist() -> None:
    known = set(tomllib.loads(text_of(REPOSITORY / "pyproject.toml"))["project"]["optional-dependencies"])
    named = {
        extra
        for page in PAGES
        for found in re.findall(r"'\.\[([\w,]+)\]'", text_of(page))
        for extra in found.split(",")
    }
    assert named and named <= known


def test_the_targets_of_make_that_the_pages_call_exist() -> None:
    targets = set(re.findall(r"^(\w+):", text_of(REPOSITORY / "Makefile"), re.MULTILINE))
    lines = [
        shlex.split(line, comments=True) for page in PAGES for line in shell_lines(page) if line.startswith("make ")
    ]
    called = {word for words in lines for word in words[1:] if "=" not in word}
    assert called and called <= targets


def test_the_benchmarks_that_the_pages_call_exist_with_their_options() -> None:
    called = [(page, line) for page in PAGES for line in spans(page) if line.startswith("python -m benchmarks.")]
    assert called
    for page, line in called:
        module, *words = shlex.split(line)[2:]
        source = REPOSITORY / f"{module.replace('.', '/')}.py"
        assert source.is_file(), f"{name_of(page)}: {module}"
        missing = [word for word in words if word.startswith("--") and f'"{word}"' not in text_of(source)]
        assert missing == [], f"{name_of(page)}: {line}"
