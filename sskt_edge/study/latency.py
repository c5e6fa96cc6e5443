"""How long the networks of a comparison take for one image here: those of its arms, and the sources themselves."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from sskt_edge.common.errors import InputError, RunError, WorkError
from sskt_edge.common.packages import version_of
from sskt_edge.common.progress import Progress
from sskt_edge.convert.fp32_from_run import fp32_from_run
from sskt_edge.evaluation.bench import Subject, quick_latency
from sskt_edge.inference.session import Session
from sskt_edge.machine.conditions import conditions
from sskt_edge.recipe.models import SourceOptions
from sskt_edge.sources.engines import ENGINES, open_onnx_session
from sskt_edge.sources.zoo import open_source
from sskt_edge.targets.records import read_record, write_record
from sskt_edge.targets.run_folder import TrainedNetwork
from sskt_edge.training.source_answers import SourceAnswers

_CPU = torch.device("cpu")
_ENGINE = ENGINES["onnxruntime-fp32"]
_IMAGES = 16


class Latencies(BaseModel):
    """latency.json: what was measured, and where.

    Attributes:
        measured_on: the processor, the number of threads, and the version of the library.
        ms: a network with its size → the median milliseconds for one image.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    measured_on: str
    ms: dict[str, float] = {}


@dataclass(frozen=True)
class _Network:
    """A network that can be timed: its name with its size, the side of its input, and how it is opened."""

    name: str
    side: int
    open: Callable[[], Session]


def latencies(
    runs: Mapping[str, TrainedNetwork],
    sources: Sequence[SourceAnswers],
    kept: Path,
    progress: Progress,
) -> dict[str, float]:
    """The name of an arm or of a source → its median milliseconds for one image, by ONNX Runtime in fp32 on the CPU.

    A network of one size is measured once for all arms. Several sources together take the sum of their times. What was
    measured on this machine before is read from the file. A network that cannot be exported is left out.

    Args:
        runs: arm → one of its runs.
        sources: the sources that were tested.
        kept: the file that keeps the times.
        progress: draws the bars.

    Raises:
        StorageError: the file cannot be written.
    """
    of_arms = {arm: _of_run(run) for arm, run in runs.items()}
    of_sources = {one.name: [_of_source(part, side) for part, side in one.shown] for one in sources}
    before = _kept(kept)
    ms = dict(before.ms)
    for network in (*of_arms.values(), *chain.from_iterable(of_sources.values())):
        if network.name not in ms:
            with contextlib.suppress(InputError, WorkError):
                ms[network.name] = _measured(network, progress)
    if ms != before.ms:
        write_record(kept, before.model_copy(update={"ms": ms}))
    found = {arm: ms[network.name] for arm, network in of_arms.items() if network.name in ms}
    for name, networks in of_sources.items():
        times = [ms.get(network.name) for network in networks]
        found |= {name: sum(filter(None, times))} if all(times) else {}
    return found


def _of_run(run: TrainedNetwork) -> _Network:
    size = run.recipe.data.image_size
    return _Network(
        f"{run.recipe.target.model}@{size}",
        size,
        lambda: open_onnx_session(fp32_from_run(run), _ENGINE, _CPU, size, 1),
    )


def _of_source(part: SourceOptions, side: int) -> _Network:
    return _Network(f"{part.model}@{side}", side, lambda: open_source(part, _CPU).open(_ENGINE, side, 1))


def _measured(network: _Network, progress: Progress) -> float:
    images = np.random.default_rng(0).integers(0, 256, (_IMAGES, network.side, network.side, 3), dtype=np.uint8)
    seconds = quick_latency([Subject(network.name, network.open())], images, progress)
    return 1e3 * seconds[network.name]


def _kept(file: Path) -> Latencies:
    """What the file has of this machine."""
    processor = conditions().processor.name  # platform.processor() says only "x86_64" of every such machine
    here = Latencies(
        measured_on=f"{processor}, {torch.get_num_threads()} threads, onnxruntime {version_of('onnxruntime')}"
    )
    with contextlib.suppress(RunError):  # none yet, or broken: the times are measured again
        found = read_record(file, Latencies, "Remove it.")
        return found if found.measured_on == here.measured_on else here
    return here
