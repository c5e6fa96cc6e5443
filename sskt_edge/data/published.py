"""STL10, CIFAR10 and CIFAR100 through torchvision, which checks each file's MD5 before it opens it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sskt_edge.common.errors import DataError, StorageError
from sskt_edge.common.files import is_full
from sskt_edge.common.text import first_line
from sskt_edge.data.arrays import ArrayReader, Arrays
from sskt_edge.recipe.models import DataOptions
from sskt_edge.tasks.single_label import SINGLE_LABEL
from sskt_edge.tasks.task import Task

if TYPE_CHECKING:
    from torchvision import datasets

_LAYOUT = {
    "stl10": "stl10_binary/ with train_X.bin, train_y.bin, test_X.bin, test_y.bin, unlabeled_X.bin, class_names.txt, "
    "fold_indices.txt (stl10_binary.tar.gz of cs.stanford.edu/~acoates/stl10)",
    "cifar10": "cifar-10-batches-py/ with data_batch_1 … data_batch_5, test_batch, batches.meta "
    "(cifar-10-python.tar.gz of www.cs.toronto.edu/~kriz/cifar.html)",
    "cifar100": "cifar-100-python/ with train, test, meta "
    "(cifar-100-python.tar.gz of www.cs.toronto.edu/~kriz/cifar.html)",
}


def open_stl10(data: DataOptions, task: Task = SINGLE_LABEL, fetch: bool = True) -> ArrayReader:
    """STL10: 5,000 training, 8,000 test and 100,000 unlabelled images of 96×96, 10 classes.

    The unlabelled images are read only when asked for, and take 2.76 GB of memory.

    Raises:
        DataError: its files are missing, and cannot or may not be downloaded.
    """
    del task  # one class per image
    from torchvision import datasets  # imports torch, which reading a folder of images does not need

    def arrays(found: Any) -> Arrays:
        return Arrays(_upright(found.data), found.labels.astype(np.int64), found.split, range(len(found.data)))

    train = _found(data, datasets.STL10, fetch, split="train")
    return ArrayReader(
        data,
        train.classes,
        arrays(train),
        lambda: arrays(_found(data, datasets.STL10, fetch, split="test")),
        lambda: arrays(_found(data, datasets.STL10, fetch, split="unlabeled")),
    )


def _upright(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Torchvision's [N,3,S,S], whose memory is the file's (column by column) → [N,S,S,3] in that same memory."""
    stored = np.ascontiguousarray(planes.transpose(0, 1, 3, 2))  # no copy, since this is its order in memory
    out = stored.reshape(len(planes), *planes.shape[2:], 3)
    for row, image in enumerate(planes):
        out[row] = image.transpose(1, 2, 0)  # NumPy handles the overlap
    return out


def open_cifar10(data: DataOptions, task: Task = SINGLE_LABEL, fetch: bool = True) -> ArrayReader:
    """CIFAR10: 50,000 training and 10,000 test images of 32×32, 10 classes.

    Raises:
        DataError: its files are missing, and cannot or may not be downloaded.
    """
    del task  # one class per image
    from torchvision import datasets

    return _open_cifar(data, datasets.CIFAR10, fetch)


def open_cifar100(data: DataOptions, task: Task = SINGLE_LABEL, fetch: bool = True) -> ArrayReader:
    """CIFAR100: 50,000 training and 10,000 test images of 32×32, 100 classes.

    Raises:
        DataError: its files are missing, and cannot or may not be downloaded.
    """
    del task  # one class per image
    from torchvision import datasets

    return _open_cifar(data, datasets.CIFAR100, fetch)


def _open_cifar(data: DataOptions, kind: type[datasets.CIFAR10], fetch: bool) -> ArrayReader:
    def arrays(found: Any, part: str) -> Arrays:
        labels = np.asarray(found.targets, dtype=np.int64)
        return Arrays(np.ascontiguousarray(found.data), labels, part, range(len(labels)))

    train = _found(data, kind, fetch, train=True)
    return ArrayReader(
        data, train.classes, arrays(train, "train"), lambda: arrays(_found(data, kind, fetch, train=False), "test")
    )


def _found(data: DataOptions, kind: Any, fetch: bool, **part: Any) -> Any:
    """Open the data set; if its files are missing or damaged, download them if allowed, else raise with the layout."""
    try:
        return kind(data.root, download=False, **part)
    except (RuntimeError, OSError):  # torchvision's "not found or corrupted"
        pass
    root = Path(data.root)
    if not fetch:
        raise _absent(data, "only a training run downloads them")
    made = not root.exists()
    try:
        return kind(data.root, download=True, **part)
    except (RuntimeError, OSError) as error:
        if isinstance(error, OSError) and is_full(error):
            raise StorageError(
                f"No space is left in '{data.root}' for {data.name}. Free some space and try again."
            ) from error
        if made and root.is_dir() and not any(root.iterdir()):  # torchvision creates it before the download
            root.rmdir()
        raise _absent(data, f"they could not be downloaded: {first_line(error)}") from error


def _absent(data: DataOptions, why: str) -> DataError:
    return DataError(
        f"data.name = '{data.name}': its files are not in '{data.root}' (or are not the published ones, by MD5), and "
        f"{why}. Put them there yourself: '{Path(data.root).resolve().name}/{_LAYOUT[data.name]}', or set data.root."
    )
