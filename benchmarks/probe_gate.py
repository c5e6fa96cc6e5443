"""How fast are the engines of a source that only a probe reads, and how close are they by logits and by the probe?

    python -m benchmarks.probe_gate --data FOLDER [--source package/efficientnet_lite0] [--rounds 8] [--sets 8]
                                      [--int8 NAME …]

FOLDER has train/<class>; 100 images of each class are labelled, and each has 4 views. Every engine answers all views,
int8 files are calibrated as `sskt_edge.sources` does it: on the first view of 128 images. It prints

- the speed as a ratio to torch in fp32, each round timing a batch of both in turn (median and quartiles);
- KL and agreement of the source's logits over all views;
- KL and agreement of the judging probe on the gate's own views, and their range over --sets sets of as many views,
  each with a probe of its own; how many of the sets the engine passes with the recipe's default limits;
- the accuracy of a probe fitted on this engine's labels, on images that it has not seen, with its 95 % interval.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from benchmarks.source_engines import BATCH, LIBRARIES, seconds
from sskt_edge.common.packages import version_of
from sskt_edge.common.progress import QUIET
from sskt_edge.convert.calibration import Method, ranges
from sskt_edge.convert.int8_from_fp32 import CPU, layers, prepared, quantised
from sskt_edge.inference.backend import backend_named
from sskt_edge.inference.session import Session
from sskt_edge.recipe import parse_recipe
from sskt_edge.recipe.gate import GateOptions
from sskt_edge.sources.engines import ENGINES
from sskt_edge.sources.judge import Distance, Logits, LogitsJudge
from sskt_edge.sources.label_query import CALIBRATION_VIEWS, GATE_VIEWS, LabelQuery, gate_slots
from sskt_edge.sources.probe.fit import fit_probe_on
from sskt_edge.sources.probe.folds import folds_of
from sskt_edge.sources.probe.judge import ProbeJudge
from sskt_edge.sources.query_source import view_batch
from sskt_edge.sources.source import TorchSource
from sskt_edge.training.inputs import Inputs, open_inputs
from sskt_edge.training.label_queries import sources_of
from sskt_edge.training.memory import keep_freed_memory

DEVICE = torch.device("cpu")
BASE = "torch-fp32"
RECIPE = """
name = "x"
[data]
name = "imagefolder"
root = "%s"
image_size = 64
per_class = 100
[target]
model = "resnet20"
[[sources]]
name = "source"
model = "%s"
[method]
name = "probe"
[labels]
views = 4
"""


@dataclass(frozen=True)
class Int8:
    """A way to quantize: how ranges are found, and whether the ends and depthwise convolutions are quantized."""

    method: Method
    ends: bool = False
    depthwise: bool = True

    def nodes(self, model: onnx.ModelProto) -> list[str]:
        """The nodes to quantize."""
        by_name = {node.name: node for node in model.graph.node}
        found = [layer.node for layer in layers(model)]
        weighted = [name for name in found if by_name[name].op_type != "Add"]
        apart = set() if self.ends else {weighted[0], weighted[-1]}
        if not self.depthwise:
            apart |= {name for name in weighted if any(a.name == "group" and a.i > 1 for a in by_name[name].attribute)}
        return [name for name in found if name not in apart]


INT8 = {
    "int8 minmax, ends float": Int8("minmax"),
    "int8 minmax, ends and depthwise float": Int8("minmax", depthwise=False),
    "int8 percentile, ends float": Int8("percentile"),
    "int8 minmax": Int8("minmax", ends=True),
}


def openers(query: LabelQuery, int8: list[str]) -> Iterator[tuple[str, Callable[[], Session]]]:
    """Every engine here, then the forms of int8."""
    source, size = query.source, query.source_view.size
    assert isinstance(source, TorchSource)
    for engine in source.engines():
        yield engine.name, lambda engine=engine: query.open(engine)  # type: ignore[misc]
    labelled = query.schedules[0]
    count = len(labelled.images)
    slots = np.linspace(0, count - 1, min(CALIBRATION_VIEWS, count)).astype(np.intp)
    images = view_batch(query.source_view, labelled, slots)
    model = prepared(source.onnx(size))
    tables = {method: ranges(model, images, method, QUIET) for method in {INT8[name].method for name in int8}}
    for name in int8:
        content = quantised(model, tables[INT8[name].method], CPU, INT8[name].nodes(model))
        for backend in ("onnxruntime", "openvino"):

            def opened(content: bytes = content, backend: str = backend) -> Session:
                library = backend_named(backend)
                threads = torch.get_num_threads()
                return library.open_file(content, (size, size, 3), BATCH, threads=threads, fixed_batch=True)

            yield f"{backend}, {name}", opened


def all_views(query: LabelQuery) -> NDArray[np.uint8]:
    labelled = query.schedules[0]
    slots = np.arange(labelled.count)
    return np.concatenate([view_batch(query.source_view, labelled, part) for part in np.array_split(slots, 20)])


def judges(inputs: Inputs, query: LabelQuery, reference: Logits, sets: int) -> list[Callable[[Logits], Distance]]:
    """The gate's judge, and judges of other sets of views; each takes the logits of all views."""
    labelled = query.schedules[0]
    parts = [gate_slots(labelled)]
    order = np.random.default_rng(0).permutation(labelled.count)
    parts += [order[at : at + GATE_VIEWS] for at in range(0, GATE_VIEWS * (sets - 1), GATE_VIEWS)]
    found = []
    for slots in parts:
        judge = ProbeJudge(
            inputs.task, inputs.images, inputs.reader.classes, labelled.rows(slots), GateOptions()
        ).against(reference[slots])
        found.append(lambda logits, judge=judge, slots=slots: judge(logits[slots]))
    return found  # type: ignore[return-value]


def accuracy(inputs: Inputs, query: LabelQuery, logits: Logits) -> str:
    """The held-out accuracy of a probe on these labels, in words."""
    classes, labelled = inputs.reader.classes, query.schedules[0]
    folds = folds_of(inputs.task, inputs.images, classes)
    rows = labelled.rows(np.arange(labelled.count))
    probe = fit_probe_on(inputs.task, inputs.images.labels, folds, rows, {"source": logits}, classes, QUIET)
    score = probe.facts[0].score
    return f"{score.value:.1%} ({score.interval[0] * 100:.1f} to {score.interval[1] * 100:.1f})"


def report(inputs: Inputs, query: LabelQuery, rounds: int, sets: int, int8: list[str]) -> None:
    """The tables, Markdown."""
    views = all_views(query)
    base = query.open(ENGINES[BASE])
    reference = base.run(views)
    by_logits, by_probe = LogitsJudge().against(reference), judges(inputs, query, reference, sets)
    head = [
        *("engine", "× torch fp32 (quartiles)", "KL of logits", "same class", "KL of the probe (range)"),
        *("same by the probe (range)", "sets passed"),
    ]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    found: dict[str, Logits] = {}
    for name, open_ in openers(query, int8):
        session = open_()
        found[name] = logits = session.run(views)
        ratios = [
            seconds(lambda: base.run(views[:BATCH])) / seconds(lambda s=session: s.run(views[:BATCH]))  # type: ignore[misc]
            for _ in range(rounds)
        ]
        low, middle, high = np.percentile(ratios, [25, 50, 75])
        whole, parts = by_logits(logits), [judge(logits) for judge in by_probe]
        kls, shares = [part.kl for part in parts], [part.agreement for part in parts]
        row = (
            name,
            f"{middle:.2f} ({low:.2f} to {high:.2f})",
            f"{whole.kl:.5f}",
            f"{whole.same:.1%}",
            f"{kls[0]:.5f} ({min(kls):.5f} to {max(kls):.5f})",
            f"{shares[0]:.1%} ({min(shares):.1%} to {max(shares):.1%})",
            f"{sum(not part.reasons for part in parts)} of {len(parts)}",
        )
        print(f"| {' | '.join(row)} |", flush=True)
        del session
        gc.collect()
    print("\n| engine of the labels | held-out accuracy of its probe (95 %) |\n|---|---|")
    for name, logits in found.items():
        print(f"| {name} | {accuracy(inputs, query, logits)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default="package/efficientnet_lite0", metavar="MODEL")
    parser.add_argument("--data", required=True, help="a folder with train/<class>")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--sets", type=int, default=8)
    parser.add_argument("--int8", nargs="*", default=list(INT8), choices=list(INT8), metavar="NAME")
    told = parser.parse_args()
    keep_freed_memory()  # as the commands do
    logging.disable(logging.WARNING)
    recipe = parse_recipe(RECIPE % (told.data, told.source))
    inputs = open_inputs(recipe, DEVICE, QUIET)
    (query,) = sources_of(recipe, inputs, DEVICE, QUIET).queries
    print(
        f"{told.source}, {len(inputs.images)} labelled images, {query.views} views at {query.source_view.size}, batch "
        f"{BATCH}, gate's sets of {GATE_VIEWS} views; Python {platform.python_version()}, {torch.get_num_threads()} "
        f"threads on {len(os.sched_getaffinity(0))} cores, {torch.backends.cpu.get_cpu_capability()}, load "
        f"{os.getloadavg()[0]:.1f}; {told.rounds} rounds; "
        f"{', '.join(f'{name} {version_of(name)}' for name in LIBRARIES)}; {time.strftime('%Y-%m-%d')}\n"
    )
    report(inputs, query, told.rounds, told.sets, told.int8)


if __name__ == "__main__":
    main()
