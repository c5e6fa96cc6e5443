"""The site is built without a warning, asks no other host, and has every key and every public function."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import sskt_edge
from tests.docs.pages import REPOSITORY
from tests.export.pages import text_of

pytest.importorskip("furo")

from docs.recipe_keys import as_markdown, recipe_keys, recipe_tables

pytestmark = pytest.mark.docs


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it."""
    (command,) = re.findall(r"python (-m sphinx .*)", text_of(REPOSITORY / "Makefile"))
    folder = tmp_path_factory.mktemp("site")
    words = command.replace("build/", f"{folder}/").split()
    done = subprocess.run([sys.executable, *words], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "docs"


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    pages = [text_of(path) for path in site.rglob("*.html")]
    loaded = [tag for page in pages for tag in re.findall(r"<(?:script|link|img|iframe|source|object)\b[^>]*>", page)]
    assert loaded
    assert [tag for tag in loaded if re.search(r"[\"'](https?:)?//", tag)] == []
    styles = [text_of(path) for path in site.rglob("*.css")]
    assert [style for style in styles if re.search(r"(@import|url\()\s*[\"']?(https?:)?//", style)] == []


def test_the_front_page_leads_to_the_first_one(site: Path) -> None:
    (target,) = re.findall(r"url=([^\"]+)", text_of(site / "index.html"))
    assert (site / target).is_file()


def test_the_site_has_every_key_and_every_public_function(site: Path) -> None:
    page = text_of(site / "docs" / "recipes.html")
    for table in recipe_tables():
        assert all(f">{key.name}<" in page for key in table.keys), table.place
    functions = text_of(site / "docs" / "python.html")
    assert all(f'id="sskt_edge.{name}"' in functions for name in sskt_edge.__all__ if name != "__version__")


def test_a_key_is_shown_with_its_range_default_and_meaning() -> None:
    row = "| `momentum` | number, ≥ 0, < 1 | `0.9` |"
    assert row in as_markdown()
    assert {"name", "data.augment.crop_padding", "sources.NAME.model", "train.optimizer.lr"} <= recipe_keys()
