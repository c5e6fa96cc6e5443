"""How much faster are this package's views than torchvision's transforms?

    python -m benchmarks.input_side [--sizes 64 32] [--images 4096] [--batch 64] [--rounds 11]

Both start from decoded images in memory and give shuffled batches, with each image shifted by up to 4 pixels and
possibly mirrored. "Ours": views are drawn and cut one batch at a time. "Theirs": RandomCrop(padding=4) and
RandomHorizontalFlip on PIL images in a Dataset, through a DataLoader whose workers, if any, are started before the
measurement. The result is first uint8 batches, then normalised float batches as the target needs them. Each side is a
separate process, and they take turns of one epoch. Both keep freed memory, as the command `train` does.
It prints the median speeds, the median ratio of the rounds with its quartiles, n, and each process's peak memory
(without workers). Before that, every pixel is compared with the output of torchvision's own functions for the numbers
of our views.
"""

from __future__ import annotations

import argparse
import itertools
import platform
from collections.abc import Callable

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.transforms import functional

from benchmarks.turns import serve, take_turns
from sskt_edge.data.arrays import array_hashes
from sskt_edge.data.batches import epoch_batches
from sskt_edge.data.inputs.image.cut import cut_views
from sskt_edge.data.inputs.image.views import draw_views
from sskt_edge.data.inputs.input import ViewPolicy
from sskt_edge.data.inputs.pixels import IMAGENET_MEAN, IMAGENET_STD, Pixels
from sskt_edge.training.memory import keep_freed_memory

PADDING = 4
Epoch = Callable[[int], None]
Transform = Callable[[Image.Image], Tensor]


class Decoded(Dataset[Tensor]):
    """PIL images in memory behind a transform."""

    def __init__(self, images: NDArray[np.uint8], transform: Transform) -> None:
        self._images = [Image.fromarray(image) for image in images]
        self._transform = transform

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, row: int) -> Tensor:
        return self._transform(self._images[row])


def theirs(images: NDArray[np.uint8], batch: int, workers: int, normalised: bool) -> Epoch:
    """An epoch through torchvision and a DataLoader."""
    last = [transforms.PILToTensor()]
    if normalised:
        last = [transforms.ToTensor(), transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)]
    moves = [transforms.RandomCrop(images.shape[1], padding=PADDING), transforms.RandomHorizontalFlip()]
    loader = DataLoader(
        Decoded(images, transforms.Compose(moves + last)),
        batch,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )

    def epoch(_: int) -> None:
        for _batch in loader:
            pass

    return epoch


def ours(images: NDArray[np.uint8], batch: int, normalised: bool) -> Epoch:
    """An epoch of views."""
    side, hashes = images.shape[1], array_hashes(images)
    pixels = Pixels(side)

    def epoch(number: int) -> None:
        views = draw_views(hashes, ViewPolicy(side, PADDING, flip=True), 0, number)
        for rows in epoch_batches(len(images), batch, 0, number):
            cut = torch.from_numpy(cut_views(images, rows, views[rows], side))
            if normalised:
                pixels(cut)

    return epoch


def compare_pixels(images: NDArray[np.uint8]) -> None:
    """Every image by a view of ours, and by torchvision's functions told the same integers: exactly the same bytes."""
    side = images.shape[1]
    views = draw_views(array_hashes(images), ViewPolicy(side, PADDING, flip=True), 0, 0)
    cut = cut_views(images, np.arange(len(images)), views, side)
    floats = Pixels(side)(torch.from_numpy(cut))
    furthest = 0.0
    for row, (y, x, height, width, flip) in enumerate(views.tolist()):
        padded = functional.pad(Image.fromarray(images[row]), PADDING)
        seen = functional.crop(padded, y + PADDING, x + PADDING, height, width)
        seen = functional.hflip(seen) if flip else seen
        if not np.array_equal(np.asarray(seen), cut[row]):
            raise SystemExit(f"image {row} of side {side}, view {views[row].tolist()}: the pixels differ")
        normalised = functional.normalize(functional.to_tensor(seen), IMAGENET_MEAN, IMAGENET_STD)
        furthest = max(furthest, float((normalised - floats[row]).abs().max()))
    print(f"{len(images)} views at {side} × {side}: the same bytes as torchvision's; normalised, within {furthest:.1e}")


def noise(count: int, size: int) -> NDArray[np.uint8]:
    return np.random.default_rng(size).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def work(name: str, count: int, size: int, batch: int) -> None:
    """One side's process."""
    who, kind, workers = name.split()
    images = noise(count, size)
    keep_freed_memory()  # as the command train does; both sides, and workers inherit it
    if who == "ours":
        epoch = ours(images, batch, kind == "float")
    else:
        epoch = theirs(images, batch, int(workers), kind == "float")
    numbers = itertools.count()
    serve({name: lambda: epoch(next(numbers))})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", type=int, default=(64, 32))
    parser.add_argument("--images", type=int, default=4096)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--only", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.only:
        work(told.only, told.images, told.sizes[0], told.batch)
        return
    print(
        f"torch {torch.__version__}, torchvision {torchvision.__version__}, numpy {np.__version__}, "
        f"Python {platform.python_version()}, {torch.get_num_threads()} threads, batch {told.batch}\n"
    )
    for size in told.sizes:
        compare_pixels(noise(told.images, size))
    head = ("side", "batches", "workers", "torchvision, images/s", "ours, images/s", "ratio (quartiles)")
    print(f"\n| {' | '.join(head)} | peak memory, GB | n |\n|{'---|' * (len(head) + 2)}")
    for size, kind in itertools.product(told.sizes, ("uint8", "float")):
        same = ["--sizes", str(size), "--images", str(told.images), "--batch", str(told.batch)]
        names = [f"ours {kind} 0", f"theirs {kind} 0", f"theirs {kind} 2"]
        mine, *others = take_turns("benchmarks.input_side", same, names, told.rounds, warm_up=1).values()
        for workers, other in zip((0, 2), others, strict=True):
            row = [str(size), "normalised float" if kind == "float" else kind, str(workers)]
            row += [f"{told.images / one.median:.0f}" for one in (other, mine)] + [other.over(mine)]
            print(f"| {' | '.join(row)} | {other.gigabytes:.2f}, {mine.gigabytes:.2f} | {told.rounds} |", flush=True)


if __name__ == "__main__":
    main()
