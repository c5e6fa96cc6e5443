"""One real run, and the bundle made of it, for every test that needs one. Copy a folder before you change it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

import sskt_edge
from sskt_edge.bundle.bundle import Bundle
from sskt_edge.recipe.load import parse_recipe
from sskt_edge.recipe.models import Recipe
from sskt_edge.targets.run_folder import TrainedNetwork
from tests.bundle.tiny import write_bundle, write_images
from tests.cli.run import Verb

# Tiny networks gain nothing from threads; next to another busy process threads make them hundreds of times slower.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that tests start

_RECIPE = """
name = "tiny"
[data]
name = "digits"
image_size = 16
per_class = 5
augment = { crop_padding = 1, horizontal_flip = false }
[target]
model = "resnet20"
[method]
name = "scratch"
[labels]
views = 1
[train]
device = "cpu"
precision = "fp32"
epochs = 1
batch_size = 25
[export]
precisions = ["fp32"]
golden = 40
batch = { min = 1, opt = 4, max = 8 }
"""


def tiny_recipe(*overrides: str) -> Recipe:
    """Fifty digits of 16 × 16, one epoch of resnet20 from scratch."""
    return parse_recipe(_RECIPE, overrides)


@pytest.fixture(scope="session")
def tiny_teacher(tmp_path_factory: pytest.TempPathFactory) -> TrainedNetwork:
    """A finished run from scratch."""
    return sskt_edge.train(tiny_recipe("name=teacher"), tmp_path_factory.mktemp("teachers"))


@pytest.fixture(scope="session")
def tiny_run(tiny_teacher: TrainedNetwork, tmp_path_factory: pytest.TempPathFactory) -> TrainedNetwork:
    """A finished run that had a branch: the teacher's run was its source."""
    source = f'sources=[{{name = "teacher", model = "run/{tiny_teacher.folder.path.as_posix()}"}}]'
    runs = tmp_path_factory.mktemp("runs")
    return sskt_edge.train(tiny_recipe("method.name=sskt", source, f"labels.store={runs / 'labels'}"), runs / "runs")


@pytest.fixture(scope="session")
def tiny_bundle(tiny_run: TrainedNetwork, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The bundle of `tiny_run`: fp32 alone."""
    folder: Path = tmp_path_factory.mktemp("bundles")
    return sskt_edge.export(tiny_run, folder / "tiny")


@pytest.fixture
def verb(tmp_path: Path) -> Verb:
    """Runs verbs in the folder `tmp_path`, in this process."""
    return Verb(tmp_path)


@pytest.fixture
def bundle_path(tmp_path: Path) -> Path:
    """A whole bundle whose network is a matrix."""
    return write_bundle(tmp_path / "tiny")


@pytest.fixture
def images_path(tmp_path: Path) -> Path:
    """Images of one colour each, in class folders."""
    write_images(tmp_path / "images")
    return tmp_path / "images"
