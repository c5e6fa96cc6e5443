from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sskt_edge.targets.run_folder import TrainedNetwork
from tests.training.labelled import Images


@pytest.fixture
def images(tiny_teacher: TrainedNetwork, tmp_path: Path) -> Images:
    """Two classes that any network tells apart: bright noise and dark noise."""
    images = Images(tmp_path, tiny_teacher)
    for path in images.root.rglob("a/*.png"):
        Image.fromarray(np.asarray(Image.open(path)) // 8).save(path)
    return images
