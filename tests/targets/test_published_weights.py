from __future__ import annotations

import pytest

from sskt_edge.common.errors import NetworkError
from sskt_edge.targets.published_weights import torchvision_weights


def test_a_target_without_published_weights_says_what_to_use_instead() -> None:
    with pytest.raises(NetworkError, match=r"'resnet20' has no published weights in torchvision; use checkpoint"):
        torchvision_weights("resnet20", "IMAGENET1K_V1")
