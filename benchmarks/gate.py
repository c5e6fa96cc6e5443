"""Which measure distinguishes an engine that answers like torch from a broken one?

    python -m benchmarks.gate --data FOLDER [--views 2048]

A source's engines, and the same source broken in typical ways (another preprocessing, swapped channels, images shifted
or darkened), are compared with ONNX Runtime in fp32, whose logits equal torch's to five digits. It prints KL and
agreement over all views, and how much both vary in the samples of 256 views that a gate draws. Strict agreement needs
the same top class; the other kind also accepts a class with at least four fifths of the top class's probability in
torch (labels.gate.near_tie).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.source_engines import BATCH, CPU, LIBRARIES, NATIVE, open_any, views
from sskt_edge.common.packages import version_of
from sskt_edge.data.inputs.pixels import IMAGENET_MEAN, IMAGENET_STD, Pixels
from sskt_edge.sources.engines import ENGINES
from sskt_edge.sources.judge import agreement, divergence
from sskt_edge.sources.label_query import GATE_VIEWS
from sskt_edge.sources.source import TorchSource

Images = NDArray[np.uint8]
BASE = "onnxruntime-fp32"
NEAR_TIE = 0.8
ALTERED: dict[str, Callable[[Images], Images]] = {
    "channels swapped": lambda shots: shots[..., ::-1],
    "mirrored": lambda shots: shots[:, :, ::-1],
    "moved by a pixel": lambda shots: np.roll(shots, 1, axis=2),
    "5 % darker": lambda shots: (shots * 0.95).astype(np.uint8),
    "2 % darker": lambda shots: (shots * 0.98).astype(np.uint8),
}


def answers(source: TorchSource, shots: Images) -> dict[str, NDArray[np.float32]]:
    """Logits of the base, then of every engine and of every broken one."""
    base = source.open(ENGINES[BASE], NATIVE, BATCH)
    found = {BASE: base.run(shots)}
    for engine in source.engines():
        if engine.name != BASE:
            found[engine.name] = source.open(engine, NATIVE, BATCH).run(shots)
    for name, (mean, std) in {
        "ImageNet's mean and std": (IMAGENET_MEAN, IMAGENET_STD),
        "ImageNet's mean": (IMAGENET_MEAN, source.pixels.std),
    }.items():
        other = TorchSource("other", "other", source.network, Pixels(source.input_size, mean, std), CPU)
        found[name] = other.open(ENGINES[BASE], NATIVE, BATCH).run(shots)
    return found | {name: base.run(np.ascontiguousarray(alter(shots))) for name, alter in ALTERED.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="a folder with train/<class>; noise without it")
    parser.add_argument("--source", default="package/efficientnet_lite0", metavar="MODEL")
    parser.add_argument("--views", type=int, default=2048)
    told = parser.parse_args()
    shots = views(told.data, told.views)
    versions = ", ".join(f"{name} {version_of(name)}" for name in LIBRARIES)
    print(f"{told.source}, {len(shots)} views, {len(shots) // GATE_VIEWS} samples of {GATE_VIEWS}; {versions}\n")
    found = answers(open_any(told.source), shots)
    print("| engine | KL | of a sample | same first class | of a sample | or in a near tie | of a sample |")
    print("|---|---|---|---|---|---|---|")
    reference = found.pop(BASE)
    samples = np.array_split(np.arange(len(shots)), len(shots) // GATE_VIEWS)
    for name, logits in found.items():
        apart = divergence(reference, logits)
        same = reference.argmax(1) == logits.argmax(1)
        agreeing = [agreement(reference[rows], logits[rows], NEAR_TIE) for rows in samples]
        kl, strict = ([part[rows].mean() for rows in samples] for part in (apart, same))
        row = [name, f"{apart.mean():.4f}", f"{min(kl):.4f} to {max(kl):.4f}"]
        row += [f"{same.mean():.1%}", f"{min(strict):.1%} to {max(strict):.1%}"]
        row += [f"{agreement(reference, logits, NEAR_TIE):.1%}", f"{min(agreeing):.1%} to {max(agreeing):.1%}"]
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
