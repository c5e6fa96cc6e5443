"""The examples in docstrings, run as they stand."""

from __future__ import annotations

import doctest
import shutil
from importlib import import_module
from pathlib import Path

import pytest

import sskt_edge
from sskt_edge.bundle.bundle import Bundle
from sskt_edge.targets.run_folder import TrainedNetwork
from tests.conftest import RECIPE

PACKAGE = Path(sskt_edge.__file__).parent
WITH_EXAMPLES = [
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]
PUBLIC = [getattr(sskt_edge, name) for name in sskt_edge.__all__ if name != "__version__"]
WITH_FILES = {function.__module__ for function in PUBLIC}


@pytest.mark.parametrize("module", [name for name in WITH_EXAMPLES if name not in WITH_FILES])
def test_examples_give_what_they_say(module: str) -> None:
    found = doctest.testmod(import_module(module))
    assert found.attempted > 0 and found.failed == 0


@pytest.mark.slow
@pytest.mark.parametrize("module", sorted(WITH_FILES))
def test_public_examples_give_what_they_say(
    module: str, tiny_run: TrainedNetwork, tiny_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder with a recipe, its run and its bundle."""
    shutil.copytree(tiny_run.folder.path, tmp_path / "runs" / "tiny")
    shutil.copytree(tiny_bundle.path, tmp_path / "bundles" / "tiny")
    (tmp_path / "tiny.toml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(import_module(module))
    assert found.attempted > 0 and found.failed == 0


@pytest.mark.parametrize("function", PUBLIC)
def test_every_public_function_has_an_example(function: object) -> None:
    assert ">>> " in str(function.__doc__)
