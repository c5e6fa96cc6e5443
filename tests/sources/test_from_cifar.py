from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sskt_edge.common.errors import NetworkError
from sskt_edge.recipe.models import SourceOptions
from sskt_edge.sources.zoo import open_source
from tests.targets.published_cifar import published_file, published_logits
from tests.targets.test_published_cifar import random_weights

CPU = torch.device("cpu")


def test_a_published_file_teaches_as_the_published_network_answers(tmp_path: Path) -> None:
    weights = random_weights(20)
    file = published_file(weights, tmp_path / "published.th")
    source = open_source(SourceOptions(name="teacher", model="cifar/resnet20", checkpoint=str(file)), CPU)
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)

    said = source.open(source.engines()[0], 32, 4).run(images)

    assert (source.classes, source.input_size) == (10, 32)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])  # as they were trained
    pixels = (torch.from_numpy(images) / 255 - mean) / std
    expected = published_logits(weights, pixels.permute(0, 3, 1, 2), 20)
    np.testing.assert_allclose(said, expected.numpy(), rtol=1e-4, atol=1e-4)


def test_without_a_file_it_knows_nothing() -> None:
    with pytest.raises(NetworkError, match="checkpoint = FILE"):
        open_source(SourceOptions(name="teacher", model="cifar/resnet56"), CPU)
