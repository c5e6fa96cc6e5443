from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision import models

from sskt_edge.common.errors import NetworkError
from sskt_edge.sources.class_layer import drop_class_layer, without_layers


@pytest.mark.parametrize(
    ("name", "layer", "width"),
    [("resnet18", "fc", 512), ("mobilenet_v3_small", "classifier.3", 1024), ("shufflenet_v2_x0_5", "fc", 1024)],
)
def test_the_network_gives_what_its_last_layer_took(name: str, layer: str, width: int) -> None:
    network = models.get_model(name, num_classes=7).eval()
    last = network.get_submodule(layer)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = network(images)
        assert drop_class_layer(network, "sources.s") == layer
        features = network(images)
        assert features.shape == (2, width)
        torch.testing.assert_close(last(features), logits)


def test_a_network_without_a_linear_layer_is_refused() -> None:
    with pytest.raises(NetworkError, match=r"sources\.s\.outputs = 'features'.*leave out outputs"):
        drop_class_layer(models.squeezenet1_1(), "sources.s")


def test_only_the_layers_own_weights_are_left_out() -> None:
    weights = nn.ModuleDict({"fc": nn.Linear(2, 2), "fc_norm": nn.LayerNorm(2)}).state_dict()
    assert set(without_layers(weights, ["fc"])) == {"fc_norm.weight", "fc_norm.bias"}
