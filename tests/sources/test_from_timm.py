from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from sskt_edge.common.errors import CheckpointError, NetworkError, RecipeError
from sskt_edge.recipe.models import SourceOptions
from sskt_edge.sources.source import TorchSource
from sskt_edge.sources.zoo import open_source
from tests.hub import cache_folder, run_offline
from tests.sources.small import CPU, answers, images

pytestmark = pytest.mark.slow


def opened(model: str, **keys: Any) -> TorchSource:
    source = open_source(SourceOptions(name="s", model=f"timm/{model}", **keys), CPU)
    assert isinstance(source, TorchSource)
    return source


def test_a_file_gives_the_weights_and_timm_the_preprocessing(tmp_path: Path) -> None:
    net = timm.create_model("test_vit", num_classes=7).eval()  # small, with a mean of its own
    save_file(net.state_dict(), tmp_path / "w.safetensors")
    source = opened("test_vit", checkpoint=str(tmp_path / "w.safetensors"))
    assert source.classes == 7
    own = timm.get_pretrained_cfg("test_vit")
    assert own is not None
    assert (source.input_size, source.pixels.mean, source.pixels.std) == (own.input_size[1], own.mean, own.std)
    shots = images(2, source.input_size)
    expected = net(source.pixels(torch.from_numpy(shots))).detach().numpy()
    np.testing.assert_allclose(answers(source, shots), expected, rtol=1e-4, atol=1e-5)


def test_a_size_that_the_network_does_not_take_is_refused(tmp_path: Path) -> None:
    name = "levit_128s"
    torch.save(timm.create_model(name).state_dict(), tmp_path / "w.pth")
    with pytest.raises(NetworkError, match=r"does not take images of side 64.*input_size"):
        opened(name, checkpoint=str(tmp_path / "w.pth"), input_size=64)


def test_position_embeddings_are_resampled_for_another_size(tmp_path: Path) -> None:
    torch.save(timm.create_model("test_vit", num_classes=7).state_dict(), tmp_path / "w.pth")
    source = opened("test_vit", checkpoint=str(tmp_path / "w.pth"), input_size=96)
    assert answers(source, images(2, 96)).shape == (2, 7)
    assert source.identity != opened("test_vit", checkpoint=str(tmp_path / "w.pth")).identity


def test_features_are_what_the_class_layer_takes(tmp_path: Path) -> None:
    net = timm.create_model("test_vit", num_classes=7).eval()
    torch.save(net.state_dict(), tmp_path / "w.pth")
    source = opened("test_vit", checkpoint=str(tmp_path / "w.pth"), outputs="features")
    shots = images(2, source.input_size)
    features = answers(source, shots)
    assert features.shape == (2, net.num_features) and source.classes == net.num_features
    with torch.no_grad():
        logits = net(source.pixels(torch.from_numpy(shots)))
        torch.testing.assert_close(net.get_submodule("head")(torch.from_numpy(features)), logits, rtol=1e-4, atol=1e-5)
    assert source.identity != opened("test_vit", checkpoint=str(tmp_path / "w.pth")).identity
    assert source.facts["outputs"] == "features"


def test_a_file_in_dinov2s_own_names_is_read(tmp_path: Path) -> None:
    """As facebookresearch/dinov2 publishes it: with mask_token, without a class layer, for 518 × 518."""
    name = "vit_small_patch14_dinov2"
    with torch.random.fork_rng(devices=[]):
        net = timm.create_model(name).eval()
    torch.save({**net.state_dict(), "mask_token": torch.zeros(1, 384)}, tmp_path / "dinov2_vits14.pth")
    source = opened(name, checkpoint=str(tmp_path / "dinov2_vits14.pth"), outputs="features", input_size=70)
    shots = images(2, 70)
    net.set_input_size((70, 70))  # type: ignore[operator]
    with torch.no_grad():
        expected = net(source.pixels(torch.from_numpy(shots))).numpy()
    assert expected.shape == (2, 384)
    np.testing.assert_allclose(answers(source, shots), expected, rtol=1e-4, atol=1e-4)
    assert source.license is None  # whose file it is, nobody knows


def test_a_file_in_siglips_own_names_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As open_clip publishes it: the image tower under visual.trunk, beside the text tower. One block, for speed."""
    name, create = "vit_base_patch16_siglip_224", timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda *args, **more: create(*args, depth=1, **more))
    with torch.random.fork_rng(devices=[]):
        net = timm.create_model(name).eval()
    text = {"logit_scale": torch.zeros(1), "text.positional_embedding": torch.zeros(64, 768)}
    of_both = {f"visual.trunk.{key}": value for key, value in net.state_dict().items()} | text
    torch.save(of_both, tmp_path / "siglip.pth")
    source = opened(name, checkpoint=str(tmp_path / "siglip.pth"), outputs="features", input_size=64)
    shots = images(2, 64)
    net.set_input_size((64, 64))  # type: ignore[operator]
    with torch.no_grad():
        expected = net(source.pixels(torch.from_numpy(shots))).numpy()
    assert expected.shape == (2, 768) and source.pixels.mean == (0.5, 0.5, 0.5)
    np.testing.assert_allclose(answers(source, shots), expected, rtol=1e-4, atol=1e-4)


def test_features_of_another_networks_file_are_one_message(tmp_path: Path) -> None:
    """Timm's own rules for a network's file end in a KeyError here."""
    torch.save(timm.create_model("resnet18").state_dict(), tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"w\.pth"):
        opened("convnext_atto", checkpoint=str(tmp_path / "w.pth"), outputs="features")


def test_a_network_without_classes_is_no_source_of_logits(tmp_path: Path) -> None:
    torch.save(timm.create_model("test_vit", num_classes=0).state_dict(), tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="head"):
        opened("test_vit", checkpoint=str(tmp_path / "w.pth"))
    assert opened("test_vit", checkpoint=str(tmp_path / "w.pth"), outputs="features").classes == 64


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(NetworkError, match=r"sources\.s\.model: timm .* no network 'resnet5O'. Nearest: 'resnet50'"):
        opened("resnet5O")


@pytest.mark.parametrize("name", ["hf-hub:timm/resnet18.a1_in1k", "local-dir:weights", "resnet18.no_such_tag"])
def test_only_networks_that_timm_lists_are_opened(name: str) -> None:
    with pytest.raises(NetworkError, match="no network"):
        opened(name)


def test_a_network_that_timm_has_no_weights_for_is_refused() -> None:
    without = next(name for name in timm.list_models() if not timm.models.is_model_pretrained(name))
    with pytest.raises(NetworkError, match=r"no published weights.*checkpoint = FILE"):
        opened(without)


def test_named_weights_are_torchvisions() -> None:
    with pytest.raises(RecipeError, match=r"sources\.s\.weights: a timm/ source has its own weights"):
        opened("test_vit", weights="IMAGENET1K_V1")


OFFLINE = """
import torch
from sskt_edge.common.errors import DownloadError
from sskt_edge.recipe.models import SourceOptions
from sskt_edge.sources.zoo import open_source
for name in ("test_resnet", "test_vit", "test_efficientnet"):
    try:
        source = open_source(SourceOptions(name="s", model=f"timm/{name}"), torch.device("cpu"))
        print(name, source.classes, source.license, source.identity)
    except DownloadError as error:
        print(name, error)
"""


class _Code:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """What is said of three networks without a net: one absent, one cached, one cached with code inside."""
    home = tmp_path_factory.mktemp("hub")
    vit = timm.create_model("test_vit").state_dict()
    save_file(vit, cache_folder(home, "test_vit") / "model.safetensors")
    torch.save(vit, home / "vit.pth")
    torch.save({"a": _Code(home / "ran")}, cache_folder(home, "test_efficientnet") / "pytorch_model.bin")
    lines = [line.partition(" ") for line in run_offline(home, OFFLINE)]
    return home, {name: said for name, _, said in lines}


def test_weights_that_are_neither_here_nor_reachable_are_a_download_error(
    offline: tuple[Path, dict[str, str]],
) -> None:
    assert "'test_resnet' are not on this machine" in offline[1]["test_resnet"]
    assert "checkpoint = FILE" in offline[1]["test_resnet"]


def test_cached_weights_need_no_net(offline: tuple[Path, dict[str, str]]) -> None:
    same = opened("test_vit", checkpoint=str(offline[0] / "vit.pth"))
    assert offline[1]["test_vit"] == f"1000 apache-2.0 {same.identity}"


def test_code_in_a_cached_file_does_not_run(offline: tuple[Path, dict[str, str]]) -> None:
    assert "weights_only" in offline[1]["test_efficientnet"]
    assert not (offline[0] / "ran").exists()
