from __future__ import annotations

from pathlib import Path

import pytest

from tests.runtime.tiny import write_bundle, write_images


@pytest.fixture
def bundle_path(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "tiny")


@pytest.fixture
def images_path(tmp_path: Path) -> Path:
    write_images(tmp_path / "images")
    return tmp_path / "images"
