from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import tomli_w
import torch
from safetensors.torch import save

from sskt_edge.common.errors import RunError
from sskt_edge.recipe.load import parse_recipe, recipe_sha256
from sskt_edge.recipe.models import SourceOptions
from sskt_edge.sources.source import TorchSource
from sskt_edge.sources.zoo import open_source
from sskt_edge.targets.finished_run import NetworkCost, RunResult
from sskt_edge.targets.run_layout import RunFolder
from sskt_edge.targets.spec import target_spec
from sskt_edge.tasks.score import Score
from tests.sources.small import CPU, answers, images


def write_run(path: Path) -> torch.nn.Module:
    """A finished run of an untrained resnet20 with 3 classes of 16×16 images."""
    text = (
        "name = 'tiny'\n[data]\nname = 'imagefolder'\nimage_size = 16\n"
        "[target]\nmodel = 'resnet20'\nmean = [0.1, 0.2, 0.3]\n[method]\nname='scratch'\n"
    )
    recipe = parse_recipe(text)
    network = target_spec("resnet20").build(3).eval()
    primary = save(network.state_dict())
    folder = RunFolder(path)
    path.mkdir()
    folder.recipe.write_text(tomli_w.dumps(recipe.model_dump(mode="json", exclude_none=True)))
    folder.primary.write_bytes(primary)
    cost = NetworkCost(parameters=1, macs=1)
    result = RunResult(
        name="tiny",
        classes=("a", "b", "c"),
        recipe_sha256=recipe_sha256(recipe),
        data_sha256="0" * 64,
        sources={},
        kept="last",
        kept_epoch=1,
        task="single_label",
        test=Score(metric="accuracy", images=1, value=1.0, interval=(0.0, 1.0)),
        validation=None,
        primary=cost,
        branches=cost,
        primary_sha256=hashlib.sha256(primary).hexdigest(),
        golden_sha256="0" * 64,
        skipped_images=0,
        seconds=1.0,
        label_seconds=0.0,
        reference={},
    )
    folder.result.write_text(result.model_dump_json())
    return network


def test_a_run_teaches_with_its_own_preprocessing_wherever_it_lies(tmp_path: Path) -> None:
    network = write_run(tmp_path / "run")
    source = open_source(SourceOptions(name="s", model=f"run/{tmp_path}/run"), CPU)
    assert isinstance(source, TorchSource)
    assert (source.classes, source.input_size, source.pixels.mean) == (3, 16, (0.1, 0.2, 0.3))
    expected = network(source.pixels(torch.from_numpy(images(size=16)))).detach().numpy()
    np.testing.assert_allclose(answers(source, images(size=16)), expected, rtol=1e-4, atol=1e-5)
    (tmp_path / "run").rename(tmp_path / "moved")
    assert open_source(SourceOptions(name="s", model=f"run/{tmp_path}/moved"), CPU).identity == source.identity


def test_a_missing_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="No run"):
        open_source(SourceOptions(name="s", model=f"run/{tmp_path}/none"), CPU)
