"""The site that `make docs` builds. Its source is the repository itself, so that links between pages work in both."""

from __future__ import annotations

import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS))  # for the extension recipe_keys

from sskt_edge.common.version import __version__  # noqa: E402

project = "sskt-edge"
release = version = __version__
language = "en"

root_doc = "docs/index"
include_patterns = [
    *("docs/*.md", "export/**.md", "recipes/README.md", "benchmarks/results/*.md"),
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md"),
]
exclude_patterns = [".*", "build", "dist", "runs", "bundles", "data", "labels", "studies", "weights"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "recipe_keys"]
myst_heading_anchors = 3
highlight_language = "none"
smartquotes = False
autodoc_typehints = "description"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = f"sskt-edge {release}"
html_copy_source = False
html_extra_path = ["front"]
