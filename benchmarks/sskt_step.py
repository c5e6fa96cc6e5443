"""How much longer does a training step take with branches than the same target's step from scratch?

    python benchmarks/sskt_step.py [--targets resnet20:64 mobilenet_v2:96 …] [--batch 64] [--classes 1000] [--rounds 15]

One and two sources, with transfer modules and with linear branches, in bf16 and channels_last: forward, loss, backward
and SGD step on random images and soft labels; no data, no sources. All take turns in one process, so that a drift of
the machine's speed hits each; printed are the median ratio to the step of the same round from scratch, its quartiles,
and n.
"""

from __future__ import annotations

import argparse
import platform
import resource
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from sskt_edge.sskt.losses import AuxiliaryLoss, total_loss
from sskt_edge.sskt.network import BranchedTarget
from sskt_edge.targets.registry import TARGETS
from sskt_edge.training.memory import keep_freed_memory

DEFAULT = ("resnet20:64", "mobilenet_v2:96")


class Branches(NamedTuple):
    """What hangs on the target."""

    sources: int
    transfer_module: bool


SIDES = {
    "from scratch": Branches(0, False),
    "1 transfer module": Branches(1, True),
    "2 transfer modules": Branches(2, True),
    "1 linear branch": Branches(1, False),
    "2 linear branches": Branches(2, False),
}


def step_of(model: str, size: int, batch: int, classes: int, side: Branches) -> Callable[[], None]:
    """One training step on random images and soft labels, ready to be called again and again."""
    sources = {f"source{number}": classes for number in range(side.sources)}
    spec = TARGETS[model]
    network = BranchedTarget(spec.build(10), spec, sources, side.transfer_module).train()
    network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    images = torch.randn(batch, 3, size, size).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(batch) % 10
    soft = {name: torch.randn(batch, classes) for name in sources}
    auxiliary = {name: AuxiliaryLoss(1.0, "ce", 1.0, "batchmean") for name in sources}

    def step() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            primary, branches = network(images)
        terms = total_loss(primary, labels, branches, soft, auxiliary)
        optimizer.zero_grad(set_to_none=True)
        terms["total"].backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def seconds(step: Callable[[], None]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", nargs="+", default=DEFAULT, metavar="NAME:SIZE")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--classes", type=int, default=1000, help="of each source")
    parser.add_argument("--rounds", type=int, default=15)
    told = parser.parse_args()
    keep_freed_memory()
    print(
        f"torch {torch.__version__}, Python {platform.python_version()}, {torch.backends.cpu.get_cpu_capability()}, "
        f"bf16 instructions: {torch.cpu._is_avx512_bf16_supported()}, {torch.get_num_threads()} threads, "
        f"batch {told.batch}, sources of {told.classes} classes\n"
    )
    print("| target | step | ms | × the step from scratch (quartiles) | n |")
    print("|---|---|---|---|---|")
    for target in told.targets:
        model, _, size = target.partition(":")
        steps = [step_of(model, int(size), told.batch, told.classes, side) for side in SIDES.values()]
        for step in steps * 2:
            step()
        rounds = np.array([[seconds(step) for step in steps] for _ in range(told.rounds)])
        ratios = np.percentile(rounds / rounds[:, :1], [25, 50, 75], axis=0).T
        for name, took, (low, middle, high) in zip(SIDES, np.median(rounds, axis=0), ratios, strict=True):
            spread = f"{middle:.3f} ({low:.3f} to {high:.3f})"
            print(f"| {model} at {size} | {name} | {1000 * took:.0f} | {spread} | {told.rounds} |", flush=True)
    print(f"\nPeak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
