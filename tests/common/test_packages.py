"""Which extra brings which package, by the metadata of an installation that is laid out in a folder."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest

from sskt_edge.common.packages import extra_with, extras, install_hint, packages_of, version_of

METADATA = """Metadata-Version: 2.4
Name: sskt-edge
Version: 9.0
Requires-Dist: numpy>=1.24
Requires-Dist: of-old-pythons; python_version < '3'
Provides-Extra: train
Requires-Dist: torch>=2.6; extra == 'train'
Requires-Dist: no-such-package[all]>=1; (python_version >= '3') and extra == 'train'
Requires-Dist: no-such-package; python_version < '3' and extra == 'train'
Provides-Extra: both
Requires-Dist: Torch; extra == 'both'
Provides-Extra: dev
Requires-Dist: pytest; extra == 'dev'
"""


def missing(extra: str) -> list[str]:
    return [name for name in packages_of(extra) if version_of(name) is None]


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An sskt-edge 9.0 with other extras, in place of the installed one."""
    folder = tmp_path / "sskt_edge-9.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(METADATA)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("installation")
def test_the_table_of_extras_is_that_of_the_installation() -> None:
    assert extras() == {"base": ("sskt-edge", "numpy"), "train": ("torch", "no-such-package"), "both": ("Torch",)}


@pytest.mark.usefixtures("installation")
def test_only_what_is_not_installed_is_missing() -> None:
    assert missing("base") == missing("both") == []
    assert missing("train") == ["no-such-package"]


@pytest.mark.usefixtures("installation")
def test_an_extra_of_a_newer_checkout_is_missing_until_it_is_installed() -> None:
    assert packages_of("openvino") == ("sskt-edge[openvino]",)
    assert missing("openvino") == ["sskt-edge[openvino]"]


@pytest.mark.usefixtures("installation")
def test_a_module_leads_to_its_extra() -> None:
    assert extra_with("no_such_package") == extra_with("torch") == "train"
    assert extra_with("numpy") is extra_with("pytest") is None


def test_without_an_installation_every_extra_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(PackageNotFoundError):
        metadata("sskt-edge")
    assert extras() == {"base": ("sskt-edge",)}
    assert missing("train") == ["sskt-edge[train]"]


def test_every_extra_that_is_installed_is_told() -> None:
    known = metadata("sskt-edge").get_all("Provides-Extra", [])
    assert set(extras()) == {"base", *known} - {"dev"}
    assert {"torch", "timm"} <= set(packages_of("train"))
    assert "numpy" in packages_of("base")


def test_a_version_is_told_of_what_is_installed_alone() -> None:
    assert version_of("numpy") is not None
    assert version_of("no-such-package-anywhere") is None


def test_extras_and_other_requirements_are_one_command() -> None:
    assert install_hint("cpu", others=("tensorrt>=10",)) == "pip install 'sskt-edge[cpu]' 'tensorrt>=10'"
    assert install_hint() == "pip install 'sskt-edge'"
