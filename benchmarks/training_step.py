"""How much faster is a training step in bf16 and channels_last than in fp32 as usually written?

    python benchmarks/training_step.py [--targets resnet20:32 mobilenet_v2:96 …] [--batch 64] [--rounds 15]

Both sides take turns in one process, so that a drift of the machine's speed hits both; printed are the median ratio of
the pairs, its quartiles, and n. No data, no branches: the target's forward, backward and SGD step alone.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from sskt_edge.targets.registry import TARGETS

DEFAULT = ("resnet20:32", "resnet20:64", "mobilenet_v2:96", "resnet18:96", "densenet121:96")


def step_of(model: str, size: int, batch: int, dtype: torch.dtype, layout: torch.memory_format) -> Callable[[], None]:
    """One training step on random images, ready to be called again and again."""
    network = TARGETS[model].build(10).train().to(memory_format=layout)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    images = torch.randn(batch, 3, size, size).contiguous(memory_format=layout)
    labels = torch.arange(batch) % 10

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            logits = network(images)
        F.cross_entropy(logits.float(), labels).backward()  # type: ignore[no-untyped-call]
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
    parser.add_argument("--rounds", type=int, default=15)
    told = parser.parse_args()
    print(
        f"torch {torch.__version__}, Python {platform.python_version()}, {torch.backends.cpu.get_cpu_capability()}, "
        f"bf16 instructions: {torch.cpu._is_avx512_bf16_supported()}, {torch.get_num_threads()} threads"
    )
    print("| target | batch | fp32 NCHW, images/s | bf16 channels_last, images/s | ratio (quartiles) | n |")
    print("|---|---|---|---|---|---|")
    for target in told.targets:
        model, _, size = target.partition(":")
        plain = step_of(model, int(size), told.batch, torch.float32, torch.contiguous_format)
        ours = step_of(model, int(size), told.batch, torch.bfloat16, torch.channels_last)
        for step in (plain, ours, plain, ours):
            step()
        pairs = np.array([(seconds(plain), seconds(ours)) for _ in range(told.rounds)])
        low, middle, high = np.percentile(pairs[:, 0] / pairs[:, 1], [25, 50, 75])
        speed = told.batch / np.median(pairs, axis=0)
        print(
            f"| {model} at {size} | {told.batch} | {speed[0]:.0f} | {speed[1]:.0f} | "
            f"{middle:.2f} ({low:.2f} to {high:.2f}) | {told.rounds} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
