"""How fast is a source with each engine, how close is it to torch in fp32, and what would int8 cost?

    python -m benchmarks.source_engines [--source package/efficientnet_lite0 | torchvision/resnet50] [--data FOLDER]
                                          [--rounds 8] [--views 512] [--int8 NAME …]

All engines take turns of one batch in one process, so that a drift of the machine's speed affects all of them. It
prints the median speed, the median ratio of the pairs with its quartiles, KL and agreement with torch fp32 over --views
images, and the peak memory growth of a separate process that opens the engine and runs it (Linux; without an export).
torchvision's networks have random weights here, since only their speed matters.

int8 is ONNX Runtime's static quantization, QDQ, per channel, calibrated on 128 other views. "naive" quantizes only
Conv, Gemm and Add, so that a ReLU6 comes after the rounding of its input; the others quantize everything that can be
quantized. "ends float" leaves the first convolution and the last layer in float, "depthwise float" also the depthwise
convolutions.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process
from torchvision import models

from benchmarks.turns import memory
from sskt_edge.common.packages import version_of
from sskt_edge.common.progress import QUIET
from sskt_edge.convert.onnx_from_module import onnx_from_module
from sskt_edge.data.inputs.image.cut import cut_views
from sskt_edge.data.inputs.image.views import draw_views
from sskt_edge.data.inputs.input import ViewPolicy
from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.data.readers import open_data
from sskt_edge.inference.backend import backend_named
from sskt_edge.inference.session import Session
from sskt_edge.recipe.load import parse_recipe
from sskt_edge.recipe.models import SourceOptions
from sskt_edge.sources.engines import ENGINES
from sskt_edge.sources.judge import divergence
from sskt_edge.sources.source import TorchSource
from sskt_edge.sources.zoo import open_source
from sskt_edge.training.memory import keep_freed_memory

BATCH, NATIVE, TARGET, CALIBRATION = 64, 160, 64, 128
CPU = torch.device("cpu")
LIBRARIES = ("torch", "onnxruntime", "openvino", "onnx", "numpy")
BASE = "torch-fp32"


@dataclass(frozen=True)
class Int8:
    """A way to quantize.

    Attributes:
        method: how a tensor's range is found.
        only: the operators that are quantized; None for all that can be.
        ends: whether the first convolution and the last layer are quantized.
        depthwise: whether depthwise convolutions are.
    """

    method: str = "MinMax"
    only: tuple[str, ...] | None = None
    ends: bool = True
    depthwise: bool = True


INT8 = {
    "naive": Int8(only=("Conv", "Gemm", "Add")),
    "minmax": Int8(),
    "entropy": Int8("Entropy"),
    "percentile": Int8("Percentile"),
    "minmax, ends float": Int8(ends=False),
    "percentile, ends float": Int8("Percentile", ends=False),
    "minmax, ends and depthwise float": Int8(ends=False, depthwise=False),
    "percentile, ends and depthwise float": Int8("Percentile", ends=False, depthwise=False),
}


def views(data: str | None, count: int) -> NDArray[np.uint8]:
    """uint8 [count,160,160,3]: one view of each image, at the images' own resolution; noise without data."""
    if not data:
        return np.random.default_rng(0).integers(0, 256, (count, NATIVE, NATIVE, 3), dtype=np.uint8)
    text = f'name="x"\n[data]\nname="imagefolder"\nroot="{data}"\nimage_size={TARGET}'
    recipe = parse_recipe(f'{text}\n[target]\nmodel="resnet20"\n[method]\nname="scratch"')
    images = open_data(recipe.data).training([TARGET, NATIVE], QUIET)[0]
    rows = np.random.default_rng(0).permutation(len(images))[:count]
    drawn = draw_views(images.hashes[rows], ViewPolicy(TARGET, 4, None, True), 0, 0)
    return cut_views(images.resized[NATIVE], rows, drawn, TARGET)


def open_any(model: str) -> TorchSource:
    """A source; one of torchvision with random weights."""
    kind, _, name = model.partition("/")
    if kind == "torchvision":
        torch.manual_seed(0)
        return TorchSource("source", model, models.get_model(name), Pixels(224), CPU)
    source = open_source(SourceOptions(name="source", model=model), CPU)
    assert isinstance(source, TorchSource)
    return source


class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
    """Calibration images, 16 at a time: ONNX Runtime keeps every activation of what it is given at once."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self.parts = np.array_split(images, len(images) // 16)
        self.left: Iterator[NDArray[np.uint8]] = iter(())

    def __len__(self) -> int:
        return len(self.parts)

    def set_range(self, start_index: int, end_index: int) -> None:
        self.left = iter(self.parts[start_index:end_index])

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        part = next(self.left, None)
        return None if part is None else {"images": part}


def quantized(file: Path, how: Int8, images: NDArray[np.uint8], folder: Path) -> Path:
    """The file in int8."""
    ready, made = folder / "ready.onnx", folder / f"{len(list(folder.iterdir()))}.onnx"
    quant_pre_process(str(file), str(ready), skip_symbolic_shape=True)
    nodes = onnx.load(ready).graph.node
    convolutions = [place for place, node in enumerate(nodes) if node.op_type == "Conv"]
    last = [node.name for node in nodes if node.op_type in ("Gemm", "MatMul")][-1]
    apart = [node.name for node in nodes[: convolutions[0]]]  # the preprocessing
    if not how.ends:
        apart += [nodes[convolutions[0]].name, last]
    if not how.depthwise:
        groups = {nodes[at].name: [a.i for a in nodes[at].attribute if a.name == "group"] for at in convolutions}
        apart += [name for name, group in groups.items() if group and group[0] > 1]
    with contextlib.redirect_stdout(io.StringIO()):
        quantization.quantize_static(
            str(ready),
            str(made),
            Reader(images),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod[how.method],
            op_types_to_quantize=list(how.only) if how.only else None,
            nodes_to_exclude=apart,
            extra_options={"WeightSymmetric": True, "CalibStridedMinMax": 1, "CalibPercentile": 99.99},
        )
    return made


def open_file(file: Path, backend: str, precision: str) -> Session:
    """What sources/engines.py opens, from a file of any precision."""
    threads = torch.get_num_threads()
    return backend_named(backend).open_file(
        file.read_bytes(), (NATIVE, NATIVE, 3), BATCH, threads=threads, precision=precision, fixed_batch=True
    )


def openers(source: str, names: list[str], images: NDArray[np.uint8], folder: Path) -> dict[str, tuple[str, ...]]:
    """What is measured: a name, and the arguments of `opened` that open it, here and in another process."""
    opened_source = open_any(source)
    plain = folder / "source.onnx"
    plain.write_bytes(onnx_from_module(opened_source.network, opened_source.pixels, (NATIVE, NATIVE, 3), BATCH, {}))
    found: dict[str, tuple[str, ...]] = {
        engine.name: (engine.backend, engine.precision, source if engine.backend == "torch" else str(plain))
        for engine in opened_source.engines()
    }
    for name in names:
        file = str(quantized(plain, INT8[name], images, folder))
        found[f"onnxruntime, int8 {name}"] = ("onnxruntime", "fp32", file)
        if "openvino-bf16" in found:
            found[f"openvino, int8 {name}"] = ("openvino", "bf16", file)
    return found


def opened(backend: str, precision: str, what: str) -> Session:
    """A session; what is not int8 in a quantized file runs in `precision`."""
    if backend == "torch":
        return open_any(what).open(ENGINES[f"{backend}-{precision}"], NATIVE, BATCH)
    return open_file(Path(what), backend, precision)


def peak_memory(arguments: tuple[str, ...]) -> float:
    """GB by which a process of its own grows that opens a session and runs two batches."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.source_engines", "--alone", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout.split()[-1])


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def report(found: dict[str, tuple[str, ...]], images: NDArray[np.uint8], rounds: int) -> None:
    """The table, Markdown."""
    sessions = {name: opened(*arguments) for name, arguments in found.items()}
    logits = {name: session.run(images) for name, session in sessions.items()}  # warms up too
    batch = images[:BATCH]
    taken = {name: np.empty(rounds) for name in sessions}
    for turn in range(rounds):
        for name, session in sessions.items():
            taken[name][turn] = seconds(lambda session=session: session.run(batch))  # type: ignore[misc]
    print("| engine | images/s | × torch fp32 (quartiles) | KL mean | KL max | same class | peak memory, GB |")
    print("|---|---|---|---|---|---|---|")
    for name in sessions:
        apart = divergence(logits[BASE], logits[name])
        same = (logits[BASE].argmax(1) == logits[name].argmax(1)).mean()
        low, middle, high = np.percentile(taken[BASE] / taken[name], [25, 50, 75])
        row = [
            name,
            f"{BATCH / np.median(taken[name]):.0f}",
            f"{middle:.2f} ({low:.2f} to {high:.2f})",
            f"{apart.mean():.5f}",
            f"{apart.max():.4f}",
            f"{same:.1%}",
            f"{peak_memory(found[name]):.2f}",
        ]
        print(f"| {' | '.join(row)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default="package/efficientnet_lite0", metavar="MODEL")
    parser.add_argument("--data", help="a folder with train/<class>; noise without it")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--views", type=int, default=512)
    parser.add_argument("--int8", nargs="*", default=list(INT8), choices=list(INT8), metavar="NAME")
    parser.add_argument("--alone", nargs=3, help=argparse.SUPPRESS)
    told = parser.parse_args()
    keep_freed_memory()  # as the command labels fill does
    if told.alone:
        before = memory("VmRSS")
        opened(*told.alone).run(np.zeros((2 * BATCH, NATIVE, NATIVE, 3), dtype=np.uint8))
        print(memory("VmHWM") - before)
        return
    logging.disable(logging.WARNING)
    images = views(told.data, told.views + CALIBRATION)
    print(
        f"{told.source}, {len(images) - CALIBRATION} views of {'real images' if told.data else 'noise'} at {NATIVE}, "
        f"batch {BATCH}; Python {platform.python_version()}, {torch.get_num_threads()} threads, "
        f"{torch.backends.cpu.get_cpu_capability()}; {told.rounds} rounds; "
        f"{', '.join(f'{name} {version_of(name)}' for name in LIBRARIES)}\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        found = openers(told.source, told.int8, images[:CALIBRATION], Path(folder))
        report(found, images[CALIBRATION:], told.rounds)


if __name__ == "__main__":
    main()
