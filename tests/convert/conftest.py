from __future__ import annotations

import pytest

from tests.convert.targets import Exported
from tests.trainings import shared_folder


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Target → the bytes of its fp32 file, of 32 × 32 images and 5 classes."""
    return Exported(shared_folder(tmp_path_factory, "targets"))
