"""How much faster is a training step in bf16 and channels_last than a plain fp32 step?

    python -m benchmarks.training_step [--targets resnet20:32 mobilenet_v2:96 …] [--batch 64] [--rounds 15] [--starts 1]

Each side is a separate process, and they take turns of ten steps. It prints the median speeds, the median ratio of the
pairs with its quartiles, n, and each process's peak memory. There are no data and no branches: a step consists only of
the target's forward pass, backward pass and SGD update, on our side with the optimizer that `train` uses. Both sides
keep freed memory, as the command `train` does.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable

import torch
import torch.nn.functional as F

from benchmarks.turns import serve, take_turns
from sskt_edge.recipe.optimization import Sgd
from sskt_edge.targets.spec import target_spec
from sskt_edge.training.memory import keep_freed_memory
from sskt_edge.training.optimizers import build_optimizer

DEFAULT = ("resnet20:32", "resnet20:64", "mobilenet_v2:96", "resnet18:96", "densenet121:96")
STEPS = 10


def step_of(model: str, size: int, batch: int, dtype: torch.dtype, layout: torch.memory_format) -> Callable[[], None]:
    """One training step on random images, ready to be called again and again."""
    network = target_spec(model).build(10).train().to(memory_format=layout)
    if dtype == torch.float32:
        optimizer: torch.optim.Optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    else:
        optimizer = build_optimizer(Sgd(lr=0.01, weight_decay=0), network)
    images = torch.randn(batch, 3, size, size).contiguous(memory_format=layout)
    labels = torch.arange(batch) % 10

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            logits = network(images)
        F.cross_entropy(logits.float(), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def work(name: str, target: str, batch: int) -> None:
    """One side's process."""
    model, _, size = target.partition(":")
    keep_freed_memory()  # on both sides, as the command train does: it is not what is compared
    if name == "plain":
        step = step_of(model, int(size), batch, torch.float32, torch.contiguous_format)
    else:
        step = step_of(model, int(size), batch, torch.bfloat16, torch.channels_last)

    def steps() -> None:
        for _ in range(STEPS):
            step()

    serve({name: steps})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", nargs="+", default=DEFAULT, metavar="NAME:SIZE")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--starts", type=int, default=1, help="how many times to start all processes")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.only:
        work(told.only, told.targets[0], told.batch)
        return
    print(
        f"torch {torch.__version__}, Python {platform.python_version()}, {torch.backends.cpu.get_cpu_capability()}, "
        f"bf16 instructions: {torch.cpu._is_avx512_bf16_supported()}, {torch.get_num_threads()} threads, "
        f"batch {told.batch}\n"
    )
    print("| target | fp32 NCHW, images/s | bf16 channels_last, images/s | ratio (quartiles) | peak memory, GB | n |")
    print("|---|---|---|---|---|---|")
    for target in told.targets:
        same = ["--targets", target, "--batch", str(told.batch)]
        taken = take_turns(
            "benchmarks.training_step", same, ["plain", "ours"], told.rounds, warm_up=1, starts=told.starts
        )
        plain, ours = taken["plain"], taken["ours"]
        speeds = " | ".join(f"{told.batch * STEPS / one.median:.0f}" for one in (plain, ours))
        peaks = f"{plain.gigabytes:.2f}, {ours.gigabytes:.2f}"
        row = f"| {target.replace(':', ' at ')} | {speeds} | {plain.over(ours)} | {peaks} | {len(ours.seconds)} |"
        print(row, flush=True)


if __name__ == "__main__":
    main()
