from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from sskt_edge.common.errors import NetworkError
from sskt_edge.data.inputs.pixels import IMAGENET_MEAN, IMAGENET_STD
from sskt_edge.recipe.models import TargetOptions
from sskt_edge.targets.build import build_target
from sskt_edge.targets.spec import pretrained_weights
from tests.hub import cache_folder, run_offline

MODEL = "mobilenetv4_conv_small"


def test_packaged_weights_come_first_then_the_default_of_timm() -> None:
    assert pretrained_weights("efficientnet_lite0").names() == ("package", "in1k")
    names = pretrained_weights(MODEL).names()
    default = timm.get_pretrained_cfg(MODEL)
    assert default is not None and names[0] == default.tag
    assert {f"{MODEL}.{name}" for name in names} == set(timm.list_pretrained(f"{MODEL}.*"))


def test_each_tag_has_the_normalisation_that_timm_lists() -> None:
    weights = pretrained_weights(MODEL)
    assert weights.normalisation("e2400_r224_in1k") == (IMAGENET_MEAN, IMAGENET_STD)
    assert weights.normalisation("e3600_r256_in1k") == ((0.5,) * 3, (0.5,) * 3)
    assert pretrained_weights("efficientnet_lite0").normalisation("in1k") == ((0.5,) * 3, (0.5,) * 3)
    assert (weights.size("e2400_r224_in1k"), weights.size("e3600_r256_in1k")) == (224, 256)


@pytest.mark.parametrize(
    ("model", "name", "said"),
    [
        ("efficientnet_lite0", "packaged", r"tf_efficientnet_lite0\. Nearest: 'package'\. Known: package, in1k"),
        (MODEL, "e2400_r256_in1k", r"Nearest: 'e2400_r224_in1k'\. Known: .*e3600_r256_in1k"),
        (MODEL, "IMAGENET1K_V1", r"Known: e2400_r224_in1k, "),
    ],
)
def test_unknown_weights_get_the_nearest_and_all_names(model: str, name: str, said: str) -> None:
    target = TargetOptions.model_validate({"model": model, "weights": name})
    with pytest.raises(NetworkError, match=said):
        build_target(target, 7, seed=0)


OFFLINE = f"""
from sskt_edge.common.errors import CheckpointError, DownloadError
from sskt_edge.recipe.models import TargetOptions
from sskt_edge.targets.build import build_target
for name in ("e1200_r224_in1k", "e2400_r224_in1k", "e3600_r256_in1k"):
    try:
        network = build_target(TargetOptions(model="{MODEL}", weights=name), 7, seed=0)
        print(network.conv_stem.weight.double().sum().item(), len(network.classifier.weight))
    except (CheckpointError, DownloadError) as error:
        print(type(error).__name__, error)
"""


class _Code:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


@pytest.mark.slow
def test_offline_cached_weights_are_read_others_are_one_error(tmp_path: Path) -> None:
    """The first weights are cached, the second are not, and the file of the third contains code."""
    state = timm.create_model(MODEL).state_dict()
    save_file(state, cache_folder(tmp_path, f"{MODEL}.e1200_r224_in1k") / "model.safetensors")
    code = cache_folder(tmp_path, f"{MODEL}.e3600_r256_in1k") / "pytorch_model.bin"
    torch.save({"a": _Code(tmp_path / "ran")}, code)

    cached, absent, unsafe = run_offline(tmp_path, OFFLINE)

    total, classes = map(float, cached.split())
    assert classes == 7
    assert total == pytest.approx(state["conv_stem.weight"].double().sum().item())
    assert absent.startswith("DownloadError") and "checkpoint = FILE" in absent
    assert f"{MODEL}.e2400_r224_in1k" in absent
    assert "weights_only" in unsafe and not (tmp_path / "ran").exists()
