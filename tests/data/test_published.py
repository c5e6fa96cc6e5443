from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sskt_edge.common.errors import DataError
from sskt_edge.common.progress import QUIET
from sskt_edge.data.readers import open_data
from sskt_edge.images.decode import to_square
from sskt_edge.recipe.models import DataOptions
from tests.fabricate import (
    CIFAR10_CLASSES,
    CIFAR100_CLASSES,
    STL10_CLASSES,
    fabricate_cifar10,
    fabricate_cifar100,
    fabricate_stl10,
    fabricated,
)

Fabricate = Callable[[Path, pytest.MonkeyPatch, int], None]
PUBLISHED: dict[str, tuple[Fabricate, tuple[str, ...], int, str]] = {
    "stl10": (fabricate_stl10, STL10_CLASSES, 96, "stl10_binary"),
    "cifar10": (fabricate_cifar10, CIFAR10_CLASSES, 32, "cifar-10-batches-py"),
    "cifar100": (fabricate_cifar100, CIFAR100_CLASSES, 32, "cifar-100-python"),
}


def data_of(name: str, root: Path, **keys: object) -> DataOptions:
    return DataOptions.model_validate({"name": name, "root": str(root), **keys})


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_the_published_files_give_images_upright_with_their_labels(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fabricate, classes, size, _ = PUBLISHED[name]
    fabricate(tmp_path, monkeypatch, 3)

    reader = open_data(data_of(name, tmp_path))

    assert reader.classes == classes
    assert reader.own_size == size
    for split, images in (("train", reader.training([size], QUIET)[0]), ("test", reader.test([size], QUIET))):
        expected, labels = fabricated(len(classes), 3, size, split)
        assert np.array_equal(images.resized[size], expected)
        assert np.array_equal(images.labels, labels)
        assert images.resized[size].flags.c_contiguous
        assert images.names == tuple(f"{split}[{row}]" for row in range(len(labels)))


def test_budget_and_validation_are_cut_from_the_training_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fabricate_cifar10(tmp_path, monkeypatch, per_class=5)

    images, validation = open_data(data_of("cifar10", tmp_path, per_class=2, validation=0.2)).training([32], QUIET)

    assert np.bincount(images.labels).tolist() == [2] * 10
    assert validation is not None
    assert np.bincount(validation.labels).tolist() == [1] * 10


def test_stl10s_unlabelled_images_come_upright_without_the_known_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = np.random.default_rng(3).integers(0, 256, (5, 96, 96, 3), dtype=np.uint8)
    own[1], own[3] = (fabricated(10, 2, 96, part)[0][7] for part in ("train", "test"))
    fabricate_stl10(tmp_path, monkeypatch, 2, own)

    images = open_data(data_of("stl10", tmp_path, unlabelled="unlabeled")).unlabelled([96, 48], QUIET)

    assert images is not None
    assert np.array_equal(images.resized[96], own[[0, 2, 4]])
    assert images.names == ("unlabeled[0]", "unlabeled[2]", "unlabeled[4]")
    assert images.labels.tolist() == [-1] * 3
    assert images.hashes[2].tobytes() == hashlib.sha256(own[4].tobytes()).digest()
    assert np.array_equal(images.resized[48][1], to_square(Image.fromarray(own[2]), 48))


def test_stl10s_unlabelled_images_are_in_memory_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = np.random.default_rng(3).integers(0, 256, (400, 96, 96, 3), dtype=np.uint8)
    own[1] = fabricated(10, 2, 96, "test")[0][7]
    fabricate_stl10(tmp_path, monkeypatch, 2, own)
    reader = open_data(data_of("stl10", tmp_path, unlabelled="unlabeled"))

    tracemalloc.start()
    images = reader.unlabelled([96], QUIET)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert images is not None and len(images) == 399
    assert peak < 1.5 * own.nbytes


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_a_missing_data_set_says_the_layout_and_leaves_nothing_behind(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere(monkeypatch)
    folder = PUBLISHED[name][3]

    with pytest.raises(
        DataError, match=rf"its files are not in '.*absent'.*could not be downloaded.*'absent/{folder}/"
    ):
        open_data(data_of(name, tmp_path / "absent"))

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere(monkeypatch)

    with pytest.raises(DataError):
        open_data(data_of("cifar10", tmp_path))

    assert tmp_path.is_dir()


def test_a_changed_file_is_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CIFAR's files are pickles: one that is not the published one could run code."""
    nowhere(monkeypatch)
    fabricate_cifar10(tmp_path, monkeypatch)
    ran = tmp_path / "ran"
    (tmp_path / "cifar-10-batches-py" / "data_batch_3").write_bytes(
        f"cos\nsystem\n(S'touch {ran.as_posix()}'\ntR.".encode()
    )

    with pytest.raises(DataError, match="not the published ones, by MD5"):
        open_data(data_of("cifar10", tmp_path))

    assert not ran.exists()


def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every download goes to a port of this machine where nobody listens: refused at once, with or without a net."""
    for proxy in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    from torchvision import datasets

    for kind in (datasets.STL10, datasets.CIFAR10, datasets.CIFAR100):
        monkeypatch.setattr(kind, "url", "http://127.0.0.1:9/data.tar.gz")
