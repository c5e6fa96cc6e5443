from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.run import Verb


@pytest.fixture
def verb(tmp_path: Path) -> Verb:
    """Runs verbs in the folder `tmp_path`."""
    return Verb(tmp_path)
