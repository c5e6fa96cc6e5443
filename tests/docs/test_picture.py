"""The picture of the way: it is small, says in words what it shows, has two schemes, and asks no other host."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from tests.docs.pages import README, REPOSITORY
from tests.export.pages import text_of

pytestmark = pytest.mark.docs

PICTURE = REPOSITORY / "docs" / "way.svg"
SVG = "{http://www.w3.org/2000/svg}"
WAY = (
    "images",
    "views",
    "sources",
    "label store",
    "train",
    "run",
    "strip",
    "ONNX",
    "precisions",
    "bundle",
    "engine",
    "eval",
)


def test_it_is_small_and_shows_every_step_of_the_way() -> None:
    assert PICTURE.stat().st_size <= 20_000
    root = ElementTree.parse(PICTURE).getroot()
    assert set(WAY) <= {text.text for text in root.iter(f"{SVG}text")}


def test_it_has_a_title_and_a_description() -> None:
    root = ElementTree.parse(PICTURE).getroot()
    assert [bool(root.findtext(f"{SVG}{name}")) for name in ("title", "desc")] == [True, True]


def test_every_colour_has_one_for_dark_pages() -> None:
    (style,) = [found.text or "" for found in ElementTree.parse(PICTURE).getroot().iter(f"{SVG}style")]
    light, _, dark = style.partition("@media (prefers-color-scheme: dark)")
    coloured = {rule for rule, body in re.findall(r"(\.\w+) \{([^}]*)\}", light) if "#" in body}
    assert coloured == set(re.findall(r"(\.\w+) \{[^}]*#[^}]*\}", dark)) != set()


def test_it_names_no_other_host_and_runs_nothing() -> None:
    text = text_of(PICTURE)
    assert set(re.findall(r"https?://[^\"'\s]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<script|<image|<foreignObject|@import|href|\bon\w+=", text)


@pytest.mark.parametrize("page", [README, REPOSITORY / "docs" / "index.md"], ids=lambda page: page.name)
def test_pages_show_it_with_a_text_for_those_that_do_not_see_it(page: object) -> None:
    (shown,) = re.findall(r"!\[([^\]]+)\]\((?:docs/)?way\.svg\)", text_of(page))  # type: ignore[arg-type]
    assert "bundle" in shown
