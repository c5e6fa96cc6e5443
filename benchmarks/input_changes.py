"""What do changes of the target's input, mixing and averaged weights cost?

    python -m benchmarks.input_changes [--data FOLDER] [--target resnet20:64] [--precision bf16] [--rounds 11]
    python -m benchmarks.input_changes --steps [--batch 128] [--rounds 31]

An epoch: the sides take turns of one epoch of 500 images, all in one process, with one source whose soft labels are
stored and a linear branch. It prints the medians, the median ratio of the pairs with its quartiles, and n.

--steps: the operations alone, on one batch of random images, next to the target's forward pass in training mode. It
prints the medians with their quartiles.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.epoch import COUNT, Contender, images_of
from benchmarks.turns import serve, take_turns
from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.methods.scratch.learner import ScratchLearner
from sskt_edge.recipe.input_options import InputOptions, MixingOptions
from sskt_edge.recipe.precision import Precision
from sskt_edge.targets.precision import autocast
from sskt_edge.targets.spec import target_spec
from sskt_edge.training.ema import Average
from sskt_edge.training.input_changes import changed_input, draw_changes
from sskt_edge.training.memory import keep_freed_memory
from sskt_edge.training.mixing import draw_mix, mixed_input

CPU = torch.device("cpu")
COLOURS = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4}
INPUT = [f"train.input.{key}={value}" for key, value in COLOURS.items()]
SIDES = {
    "off": [],
    "brightness, contrast, saturation": INPUT,
    "erasing": ["train.input.erasing=0.5"],
    "mixup": ["train.mixing.mixup=0.2"],
    "cutmix": ["train.mixing.cutmix=1.0"],
    "ema": ["train.ema=0.999"],
    "all": [*INPUT, "train.input.erasing=0.5", "train.mixing={mixup=0.2, cutmix=1.0}", "train.ema=0.999"],
}


def work(names: list[str], data: str | None, model: str, size: int, precision: Precision) -> None:
    """The process of all sides."""
    keep_freed_memory()
    images = images_of(data, size)
    with tempfile.TemporaryDirectory() as folder:
        sides = {
            name: Contender("one source, no TM", images, model, size, precision, Path(folder) / name, SIDES[name])
            for name in names
        }
        serve({name: side.epoch for name, side in sides.items()})


def epochs(told: argparse.Namespace) -> None:
    """The table of epochs."""
    same = ["--data", told.data] if told.data else []
    same += ["--target", told.target, "--precision", told.precision]
    taken = take_turns("benchmarks.input_changes", same, list(SIDES), told.rounds, together=True)
    print(f"{told.target} in {told.precision}, {COUNT} images\n")
    print("| an epoch with | seconds | / off (quartiles) | n |")
    print("|---|---|---|---|")
    for name, one in taken.items():
        print(f"| {name} | {one.median:.2f} | {one.over(taken['off'])} | {len(one.seconds)} |")


def operations(model: str, size: int, batch: int, precision: Precision) -> dict[str, Callable[[], object]]:
    """What a step does more, each operation alone, and the forward pass."""
    pixels, spec = Pixels(size), target_spec(model)
    images = torch.randint(0, 256, (batch, size, size, 3), dtype=torch.uint8)
    planes = pixels(images)
    learner = ScratchLearner(spec.build(10), {}).train().to(memory_format=torch.channels_last)
    average = Average(learner, 0.999)
    colours, erasing = InputOptions(**COLOURS), InputOptions(erasing=0.5)
    mixup, cutmix = MixingOptions(mixup=0.2), MixingOptions(cutmix=1.0)

    def forward() -> None:
        with autocast(CPU, precision):
            learner(planes)

    return {
        "the target's forward pass": forward,
        "preprocessing without changes": lambda: pixels(images),
        "preprocessing with brightness, contrast, saturation": lambda: changed_input(
            images, pixels, draw_changes(colours, 0, 0, batch, size)
        ),
        "preprocessing with erasing": lambda: changed_input(images, pixels, draw_changes(erasing, 0, 0, batch, size)),
        "mixup": lambda: mixed_input(planes, draw_mix(mixup, 0, 0, batch, batch, size)),
        "cutmix": lambda: mixed_input(planes, draw_mix(cutmix, 0, 0, batch, batch, size)),
        "ema": lambda: average.update(1000),
    }


def steps(told: argparse.Namespace) -> None:
    """The table of operations."""
    keep_freed_memory()
    model, _, size = told.target.partition(":")
    print(f"{told.target} in {told.precision}, one batch of {told.batch}, n = {told.rounds}\n")
    print("| operation | ms (quartiles) | share of the forward pass |\n|---|---|---|")
    whole = 0.0
    for name, operation in operations(model, int(size), told.batch, told.precision).items():
        taken = []
        for _ in range(3 + told.rounds):
            start = time.perf_counter()
            operation()
            taken.append(1000 * (time.perf_counter() - start))
        low, middle, high = np.percentile(taken[3:], [25, 50, 75])
        whole = whole or middle
        print(f"| {name} | {middle:.2f} ({low:.2f} to {high:.2f}) | {middle / whole:.1%} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="a folder of images; noise by default, which takes the same time")
    parser.add_argument("--target", default="resnet20:64", metavar="NAME:SIZE")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--steps", action="store_true", help="the operations alone instead of epochs")
    parser.add_argument("--batch", type=int, default=128, help="of --steps")
    parser.add_argument("--only", action="append", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.only:
        model, _, size = told.target.partition(":")
        work(told.only, told.data, model, int(size), told.precision)
        return
    print(
        f"torch {torch.__version__}, Python {platform.python_version()}, {torch.get_num_threads()} threads, "
        f"{torch.backends.cpu.get_cpu_capability()}; ",
        end="",
    )
    (steps if told.steps else epochs)(told)


if __name__ == "__main__":
    main()
