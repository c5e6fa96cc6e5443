"""Finished trainings, and a bundle of one, for every test that needs them. Copy a folder before you change it."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import sskt_edge
from sskt_edge.bundle.bundle import MANIFEST, Bundle, open_bundle
from sskt_edge.common.lock import locked
from sskt_edge.common.progress import QUIET
from sskt_edge.convert.fp32_from_run import fp32_from_run
from sskt_edge.evaluation import bench
from sskt_edge.evaluation.effort import Exactly
from sskt_edge.recipe.load import parse_recipe
from sskt_edge.recipe.models import Recipe
from sskt_edge.targets.run_folder import TrainedNetwork
from tests.bundle.tiny import write_bundle, write_images
from tests.cli.run import Verb
from tests.exports import Exports
from tests.trainings import Trainings, shared_folder

# Tiny networks gain nothing from threads; next to another busy process threads make them hundreds of times slower.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that tests start


def pytest_collection_finish() -> None:
    """Leave what is loaded out of the garbage collections that each timing begins with: they take a second else."""
    gc.collect()
    gc.freeze()


RECIPE = """
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
    return parse_recipe(RECIPE, overrides)


@pytest.fixture(scope="session", autouse=True)
def brief_timing() -> Iterator[None]:
    """Where an export or an evaluation says how fast a file is, a few runs are enough."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "QUICK", Exactly(5))
        yield


@pytest.fixture(scope="session", autouse=True)
def fp32_files_are_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An export takes the fp32 file of a run that another test has exported, instead of writing it again."""
    folder = shared_folder(tmp_path_factory, "fp32")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sskt_edge.convert.fp32_from_run.fp32_from_run", Exports(folder, fp32_from_run))
        yield


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trainings:
    """Recipe → its finished run, trained where no test has asked for it before."""
    return Trainings(shared_folder(tmp_path_factory, "trained"))


@pytest.fixture(scope="session")
def tiny_teacher(trained: Trainings) -> TrainedNetwork:
    """A finished run from scratch."""
    return trained(tiny_recipe("name=teacher"))


@pytest.fixture(scope="session")
def tiny_run(
    tiny_teacher: TrainedNetwork, trained: Trainings, tmp_path_factory: pytest.TempPathFactory
) -> TrainedNetwork:
    """A finished run that had a branch: the teacher's run was its source."""
    source = f'sources=[{{name = "teacher", model = "run/{tiny_teacher.folder.path.as_posix()}"}}]'
    store = shared_folder(tmp_path_factory, "trained") / "labels"
    return trained(tiny_recipe("method.name=sskt", source, f"labels.store={store.as_posix()}"))


@pytest.fixture(scope="session")
def tiny_bundle(tiny_run: TrainedNetwork, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The bundle of `tiny_run`: fp32 alone."""
    folder = shared_folder(tmp_path_factory, "exported")
    with locked(folder / "tiny.lock", "exports it", QUIET):
        made = (folder / "tiny" / MANIFEST).is_file()
        return open_bundle(folder / "tiny") if made else sskt_edge.export(tiny_run, folder / "tiny")


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
