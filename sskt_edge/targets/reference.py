"""Reference logits for all comparisons: CPU, fp32, one layout and one batch size, so that every bit is reproducible."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sskt_edge.common.packages import version_of
from sskt_edge.common.progress import QUIET, Progress
from sskt_edge.data.inputs.pixels import Pixels

_BATCH = 16  # larger batches take more memory and are not faster


def reference_facts() -> dict[str, str]:
    """The facts that the last bits of reference logits depend on. With equal facts the bits are equal."""
    facts = {
        "torch": torch.__version__,
        "torchvision": version_of("torchvision") or "",
        "batch": str(_BATCH),
        "threads": str(torch.get_num_threads()),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "processor": platform.machine(),
    }
    with contextlib.suppress(OSError):
        names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        facts["processor"] += "".join(f" {name.partition(':')[2].strip()}" for name in names[:1])
    return facts


def reference_logits(
    network: nn.Module,
    pixels: Pixels,
    images: NDArray[np.uint8],
    progress: Progress = QUIET,
    forward: Callable[[Tensor], Tensor] | None = None,
) -> NDArray[np.float32]:
    """Run the network in eval mode on the CPU in fp32. uint8 [N,*shape] → float32 [N,classes].

    Args:
        network: the network; it is moved to the CPU and to the contiguous layout, and stays there.
        pixels: its preprocessing.
        images: the network's input, N at least 1.
        progress: draws the bar.
        forward: what to call in place of `network`, such as the network with its branches.
    """
    network.to(device="cpu", memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    pixels.to("cpu")
    answers = []
    with torch.inference_mode(), progress.bar("torch, fp32", len(images)) as bar:
        for start in range(0, len(images), _BATCH):
            batch = torch.from_numpy(images[start : start + _BATCH])
            answers.append((forward or network)(pixels(batch)).numpy())
            bar.advance(len(batch))
    return np.concatenate(answers)
