"""Small files in the published data sets' own formats, so that what reads them is tested without a download.

torchvision holds every file to its MD5; the lists of MD5s are exchanged for those of the fabricated files.
"""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torchvision import datasets, models

STL10_CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR100_CLASSES = tuple(f"fine_{label:02}" for label in range(100))

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


def fabricated(classes: int, per_class: int, side: int, split: str) -> tuple[Images, Labels]:
    """Noise around a colour of each class, classes taking turns. uint8 [N,side,side,3], int64 [N]."""
    labels = np.tile(np.arange(classes, dtype=np.int64), per_class)
    colours = np.random.default_rng(classes).integers(40, 216, (classes, 1, 1, 3))
    noise = np.random.default_rng([classes, len(split)]).integers(-40, 40, (len(labels), side, side, 3))
    return (colours[labels] + noise).astype(np.uint8), labels


def fabricate_stl10(
    root: Path, monkeypatch: pytest.MonkeyPatch, per_class: int = 2, unlabelled: Images | None = None
) -> None:
    """root/stl10_binary: `per_class` training and as many test images of each of its ten classes, and unlabelled ones.

    `unlabelled` uint8 [N,96,96,3]; a black image if left out.
    """
    folder = _folder(root, datasets.STL10)

    def write(split: str, images: Images) -> None:
        # Planes of colour, each stored column by column.
        (folder / f"{split}_X.bin").write_bytes(images.transpose(0, 3, 2, 1).tobytes())

    for split in ("train", "test"):
        images, labels = fabricated(10, per_class, 96, split)
        write(split, images)
        # Labels count from 1.
        (folder / f"{split}_y.bin").write_bytes((labels + 1).astype(np.uint8).tobytes())
    write("unlabeled", np.zeros((1, 96, 96, 3), dtype=np.uint8) if unlabelled is None else unlabelled)
    (folder / "class_names.txt").write_text("".join(f"{name}\n" for name in STL10_CLASSES))
    _pretend_published(datasets.STL10, folder, monkeypatch)


def fabricate_cifar10(root: Path, monkeypatch: pytest.MonkeyPatch, per_class: int = 2) -> None:
    """root/cifar-10-batches-py: five training batches and a test batch, pickled."""
    folder = _folder(root, datasets.CIFAR10)
    images, labels = fabricated(10, per_class, 32, "train")
    batches = np.array_split(np.arange(len(labels)), 5)
    for number, rows in enumerate(batches, start=1):
        _pickle(folder / f"data_batch_{number}", _cifar_batch(images[rows], "labels", labels[rows]))
    _pickle(folder / "test_batch", _cifar_batch(*_named("labels", fabricated(10, per_class, 32, "test"))))
    _pickle(folder / "batches.meta", {"num_cases_per_batch": 4, "label_names": list(CIFAR10_CLASSES), "num_vis": 3072})
    _pretend_published(datasets.CIFAR10, folder, monkeypatch)


def fabricate_cifar100(root: Path, monkeypatch: pytest.MonkeyPatch, per_class: int = 2) -> None:
    """root/cifar-100-python: one training and one test file, pickled, with fine and coarse labels."""
    folder = _folder(root, datasets.CIFAR100)
    for split in ("train", "test"):
        images, labels = fabricated(100, per_class, 32, split)
        content = _cifar_batch(images, "fine_labels", labels)
        _pickle(folder / split, {**content, "coarse_labels": (labels // 5).tolist()})
    _pickle(folder / "meta", {"fine_label_names": list(CIFAR100_CLASSES), "coarse_label_names": ["coarse"] * 20})
    _pretend_published(datasets.CIFAR100, folder, monkeypatch)


def fabricate_places365(path: Path) -> None:
    """A ResNet50 of 365 classes with random weights, saved as the published resnet50_places365.pth.tar is.

    Torch's format from before zip files, in a dict with the epoch, under DataParallel's names, and from a PyTorch that
    did not count batches yet.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(365)
        network = models.resnet50(num_classes=365)
    state = {
        f"module.{key}": value for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")
    }
    content = {"epoch": 90, "arch": "resnet50", "state_dict": state, "best_prec1": torch.tensor(54.65)}
    torch.save(content, path, _use_new_zipfile_serialization=False)


def _folder(root: Path, kind: Any) -> Path:
    folder = root / str(kind.base_folder)
    folder.mkdir(parents=True)
    return folder


def _named(key: str, part: tuple[Images, Labels]) -> tuple[Images, str, Labels]:
    return part[0], key, part[1]


def _cifar_batch(images: Images, key: str, labels: Labels) -> dict[str, Any]:
    """Each image is a row of 3,072 bytes: its red plane, its green one, its blue one."""
    return {
        "data": np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(-1, 3072),
        key: labels.tolist(),
        "filenames": [f"{number}.png" for number in range(len(labels))],
    }


def _pickle(path: Path, content: dict[str, Any]) -> None:
    path.write_bytes(pickle.dumps(content, protocol=2))


def _pretend_published(kind: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exchange the MD5s that torchvision knows for those of the files in `folder`."""

    def md5(name: str) -> str:
        return hashlib.md5((folder / name).read_bytes(), usedforsecurity=False).hexdigest()

    for part in ("train_list", "test_list"):
        monkeypatch.setattr(kind, part, [[name, md5(name)] for name, _ in getattr(kind, part)])
    if hasattr(kind, "meta"):
        monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": md5(kind.meta["filename"])})
