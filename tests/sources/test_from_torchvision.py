from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import models

from sskt_edge.common.errors import CheckpointError, DownloadError, NetworkError, RecipeError
from sskt_edge.recipe.models import SourceOptions
from sskt_edge.sources.source import TorchSource
from sskt_edge.sources.zoo import open_source
from tests.sources.small import CPU, answers, images


def opened(model: str, **keys: Any) -> TorchSource:
    source = open_source(SourceOptions(name="s", model=f"torchvision/{model}", **keys), CPU)
    assert isinstance(source, TorchSource)
    return source


def random_network(name: str, classes: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net: nn.Module = models.get_model(name, num_classes=classes)
        for key, value in net.state_dict().items():
            if "running" in key:
                value.uniform_(0.5, 1.5)
    return net.eval()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of published weights, and no way to the net."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path / "hub" / "checkpoints"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a download that was cut off"])
def test_a_broken_file_in_the_cache_is_named(content: bytes, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It was reported as one that could not be fetched, or ended in a traceback."""
    file = cache / Path(models.ResNet18_Weights.DEFAULT.url).name
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"The cached file '{file}' cannot be read: .*\. Remove it"):
        opened("resnet18", weights="IMAGENET1K_V1")
    assert capsys.readouterr().out == ""


def test_a_download_says_nothing_on_standard_output(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the results of --json go."""
    with pytest.raises(DownloadError):
        opened("resnet18", weights="IMAGENET1K_V1")
    assert capsys.readouterr().out == ""


def test_the_published_format_of_places365_is_read(tmp_path: Path) -> None:
    net = random_network("resnet18", 365)
    state = {f"module.{k}": v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    published = {"epoch": 90, "arch": "resnet18", "state_dict": state, "best_prec1": torch.tensor(54.7)}
    path = tmp_path / "resnet18_places365.pth.tar"
    torch.save(published, path, _use_new_zipfile_serialization=False)
    source = opened("resnet18", checkpoint=str(path), classes=365)
    assert (source.classes, source.input_size) == (365, 224)
    planes = torch.from_numpy(images(2, 224)).permute(0, 3, 1, 2) / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = net((planes - mean[:, None, None]) / std[:, None, None]).detach().numpy()
    np.testing.assert_allclose(answers(source, images(2, 224)), expected, rtol=1e-3, atol=1e-3)


def test_a_file_takes_the_recipes_size_mean_and_std(tmp_path: Path) -> None:
    torch.save(random_network("resnet18", 10).state_dict(), tmp_path / "w.pth")
    source = opened(
        "resnet18", checkpoint=str(tmp_path / "w.pth"), input_size=74, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6)
    )
    assert (source.classes, source.input_size) == (10, 74)
    assert (source.pixels.mean, source.pixels.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


def test_published_weights_bring_their_own_size_mean_and_std(cache: Path) -> None:
    weights = models.RegNet_Y_400MF_Weights.IMAGENET1K_V2
    torch.save(random_network("regnet_y_400mf", 1000).state_dict(), cache / Path(weights.url).name)
    source = opened("regnet_y_400mf", weights="IMAGENET1K_V2")
    own = weights.transforms()
    assert (source.classes, source.input_size) == (1000, own.crop_size[0])
    assert (source.pixels.mean, source.pixels.std) == (tuple(own.mean), tuple(own.std))


def test_other_classes_than_the_published_ones_are_refused(cache: Path) -> None:
    url = models.RegNet_Y_400MF_Weights.IMAGENET1K_V2.url
    torch.save(random_network("regnet_y_400mf", 1000).state_dict(), cache / Path(url).name)
    with pytest.raises(CheckpointError, match="classes = 365, but torchvision/regnet_y_400mf has 1000 classes"):
        opened("regnet_y_400mf", weights="IMAGENET1K_V2", classes=365)


class _Code:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("new_format", [True, False])
def test_code_in_a_cached_file_does_not_run(cache: Path, tmp_path: Path, new_format: bool) -> None:
    file = cache / Path(models.RegNet_Y_400MF_Weights.IMAGENET1K_V2.url).name
    torch.save({"a": _Code(tmp_path / "ran")}, file, _use_new_zipfile_serialization=new_format)
    with pytest.raises(CheckpointError, match="could run code"):
        opened("regnet_y_400mf", weights="IMAGENET1K_V2")
    assert not (tmp_path / "ran").exists()
    with file.open("rb") as stream, pytest.raises(pickle.UnpicklingError):
        torch.load(stream, weights_only=True)
    torch.load(file, weights_only=False)
    assert (tmp_path / "ran").exists()  # it would have run


def test_no_way_to_the_net_says_where_to_put_the_file(cache: Path) -> None:
    with pytest.raises(DownloadError, match=r"put it at '.*regnet_y_400mf"):
        opened("regnet_y_400mf", weights="IMAGENET1K_V2")


@pytest.mark.parametrize("name", ["resnet5", "fasterrcnn_resnet50_fpn", "r3d_18"])
def test_what_is_no_image_classifier_is_refused(name: str) -> None:
    with pytest.raises(NetworkError, match=rf"sources\.s\.model: .* no image classifier '{name}'.*Known: .*resnet50"):
        opened(name, weights="DEFAULT")


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(NetworkError, match="Nearest: 'resnet50'"):
        opened("resnet5O", weights="DEFAULT")


def test_unknown_weights_get_the_nearest() -> None:
    with pytest.raises(NetworkError, match="Nearest: 'IMAGENET1K_V1'"):
        opened("resnet18", weights="IMAGENET1KV1")


def test_a_network_without_weights_is_refused() -> None:
    with pytest.raises(NetworkError, match=r"untrained network.*checkpoint = FILE.*IMAGENET1K_V1"):
        opened("resnet18")


def test_weights_and_checkpoint_exclude_each_other() -> None:
    with pytest.raises(RecipeError, match="exclude each other"):
        opened("resnet18", weights="IMAGENET1K_V1", checkpoint="w.pth")


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_networks_that_scale_inside_are_not_read_from_files(name: str) -> None:
    with pytest.raises(NetworkError, match="published weights"):
        opened(name, checkpoint="w.pth")


@pytest.mark.parametrize("with_class_layer", [True, False])
def test_features_need_no_class_layer_in_the_file(with_class_layer: bool, tmp_path: Path) -> None:
    """Files of networks that learned without labels have none."""
    net = random_network("resnet18", 365)
    kept = {key: value for key, value in net.state_dict().items() if with_class_layer or not key.startswith("fc.")}
    torch.save(kept, tmp_path / "w.pth")
    source = opened("resnet18", checkpoint=str(tmp_path / "w.pth"), outputs="features", input_size=64)
    shots = images(2, 64)
    features = torch.from_numpy(answers(source, shots))
    with torch.no_grad():
        expected = net(source.pixels(torch.from_numpy(shots)))
        torch.testing.assert_close(net.get_submodule("fc")(features), expected, rtol=1e-4, atol=1e-4)


def test_published_features_are_those_of_the_published_network(cache: Path) -> None:
    torch.save(random_network("resnet18", 1000).state_dict(), cache / Path(models.ResNet18_Weights.DEFAULT.url).name)
    features, logits = (opened("resnet18", weights="IMAGENET1K_V1", outputs=kind) for kind in ("features", "logits"))
    assert (features.classes, logits.classes) == (512, 1000)
    assert (features.input_size, features.pixels.mean) == (logits.input_size, logits.pixels.mean)
