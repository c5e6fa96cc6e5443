"""Measure how fast a bundle is on this machine: reading an image, then every precision on all available runners."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sskt_edge.bundle.bundle import Bundle
from sskt_edge.bundle.manifest import Batch
from sskt_edge.common.errors import InputError, Interrupted
from sskt_edge.common.progress import QUIET, Progress
from sskt_edge.evaluation.bench import Measurement, Subject, entries_of, groups_of, measurements_of
from sskt_edge.evaluation.bench_plan import Group, Job, Plan, carry_out, plan
from sskt_edge.evaluation.effort import DEFAULT, AtLeast, Effort, Exactly
from sskt_edge.evaluation.timing import Clock, Contender, Timing, timing_from_seconds
from sskt_edge.images.read import JPEG_QUALITY, find_reader
from sskt_edge.inference.open_sessions import open_sessions
from sskt_edge.machine.conditions import Conditions, conditions
from sskt_edge.machine.cores import kept_on_cores, usable_cores

READING = "read a JPEG"


@dataclass(frozen=True)
class Benchmark:
    """The results of a benchmark, with its machine and method.

    Attributes:
        bundle: the bundle's name.
        before: the state of the machine before the first run.
        after: the state of the machine just after the last run, still warm.
        threads: the number of threads of every session on the CPU.
        kept_on: the cores to which everything was pinned, by the system's numbers; empty if nothing was pinned.
        effort: how much was to be measured.
        preprocessing: the time to read one image, on one thread; None if no time was left for it, or if files cannot be
            read for this kind of input.
        measurements: in the order of the batch sizes, then of the subjects.
        precisions: subject's name → precision of the bundle.
        sha256: precision → the hash of its file in the bundle, also where an engine made from it was measured.
        unavailable: what could not be opened here, and why.
        left_out: what was opened but not measured, and why.
        method: how it was measured, in a few sentences.
        stopped: the signal that ended it early; 0 if it was not stopped.
    """

    bundle: str
    before: Conditions
    after: Conditions
    threads: int
    kept_on: tuple[int, ...]
    effort: Effort
    preprocessing: Timing | None
    measurements: tuple[Measurement, ...]
    precisions: dict[str, str]
    sha256: dict[str, str]
    unavailable: dict[str, str]
    left_out: dict[str, str]
    method: tuple[str, ...]
    stopped: int

    def as_json(self) -> dict[str, Any]:
        """The values that are converted to JSON; times are in milliseconds."""
        return {
            "bundle": self.bundle,
            "before": self.before,
            "after": self.after,
            "threads": self.threads,
            "kept_on_cores": self.kept_on or None,
            "effort": self.effort,
            "method": self.method,
            "preprocessing": self.preprocessing,
            "measurements": [
                {"precision": precision, "sha256": self.sha256[precision], **one.as_json()}
                for one in self.measurements
                for precision in [self.precisions[one.subject.name]]
            ],
            "unavailable": self.unavailable,
            "left_out": self.left_out,
            "stopped_by_signal": self.stopped or None,
        }


def bench_bundle(
    bundle: Bundle,
    precision: str | None = None,
    backend: str | None = None,
    provider: str | None = None,
    threads: int = 0,
    trust_engines: bool = False,
    batches: Sequence[int] = (),
    effort: Effort = DEFAULT,
    progress: Progress = QUIET,
    clock: Clock = time.perf_counter,
) -> Benchmark:
    """Measure a bundle with its golden images. After SIGINT or SIGTERM it returns what was measured so far.

    Args:
        bundle: the bundle to measure.
        precision: measure only this precision.
        backend: measure only this library.
        provider: measure only on this provider.
        threads: threads of a run on the CPU, pinned to that many cores; 0 = one for each core that this process may
            use, no pinning.
        trust_engines: open engines that this machine did not build.
        batches: images per run; if empty, one image and the batch sizes that the bundle is made for.
        effort: how much to measure.
        progress: reports how long it will take, and draws the bars.
        clock: returns the time in seconds.

    Raises:
        InputError: what was requested cannot be opened, or nothing can; or a batch or an effort is not possible.
        WorkError: logits are not finite numbers.
        Interrupted: a signal arrived before anything was measured.
    """
    before = conditions()
    given = threads or usable_cores(before.processor)
    sizes = _checked(batches, bundle.manifest.input.batch) if batches else batches_of(bundle.manifest.input.batch)
    # The bar's thread is started first, so that it is not pinned to the cores that are measured.
    with progress.bar(f"bench {bundle.manifest.name}", 1) as bar, kept_on_cores(threads) as cores:
        opened, unavailable = open_sessions(bundle, precision, backend, provider, given, trust_engines)
        subjects = [Subject(one.name, one.session) for one in opened]
        images = bundle.golden().images
        readers, entries = reading(images, bundle.manifest.input.kind), entries_of(subjects, images, sizes)
        planned = plan([Group("pre-processing", readers), *groups_of(entries)], effort, progress, clock)
        progress.say(_announcement(planned, len(subjects), sizes))
        stopped = _carry_out(planned, progress, clock)
        bar.advance()
    return Benchmark(
        bundle=bundle.manifest.name,
        before=before,
        after=conditions(),
        threads=given,
        kept_on=cores,
        effort=effort,
        preprocessing=next(
            (timing_from_seconds(job.contender.seconds) for job in readers if job.contender.seconds), None
        ),
        measurements=tuple(measurements_of(entries)),
        precisions={one.name: one.precision for one in opened},
        sha256={name: record.sha256 for name, record in bundle.manifest.precisions.items()},
        unavailable=unavailable,
        left_out=planned.left_out | (_unmeasured(planned) if stopped else {}),
        method=_method(effort, given, cores, images.shape[1] if readers else 0, len(subjects)),
        stopped=stopped,
    )


def _carry_out(planned: Plan, progress: Progress, clock: Clock) -> int:
    """Measure; return the signal that ended it, or 0.

    Raises:
        Interrupted, KeyboardInterrupt: a signal arrived before any session was measured.
    """
    try:
        carry_out(planned, progress, clock)
    except (Interrupted, KeyboardInterrupt) as signalled:
        if not any(job.contender.turns for group in planned.groups for job in group.jobs if job.name != READING):
            raise
        return signalled.signum if isinstance(signalled, Interrupted) else signal.SIGINT
    return 0


def _unmeasured(planned: Plan) -> dict[str, str]:
    jobs = [job for group in planned.groups for job in group.jobs]
    return {job.label: "stopped before its first turn ended" for job in jobs if not job.contender.turns}


def _announcement(planned: Plan, subjects: int, batches: Sequence[int]) -> str:
    minutes, seconds = divmod(round(planned.total), 60)
    time = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    sizes = f"batch {', '.join(map(str, batches))}"
    return f"measuring {subjects} session{'s' if subjects > 1 else ''} at {sizes}: about {time}"


def _checked(batches: Sequence[int], limits: Batch) -> list[int]:
    """The batch sizes without repetitions.

    Raises:
        InputError: the bundle does not take one of them.
    """
    for batch in batches:
        if not limits.min <= batch <= limits.max:
            raise InputError(f"--batch {batch}: this bundle takes {limits.min} to {limits.max} images per run.")
    return sorted(set(batches))


def batches_of(batch: Batch) -> list[int]:
    """One image (or the smallest batch that the network takes), the usual batch, and the largest one."""
    return sorted({batch.min, batch.opt, batch.max})


def reading(images: npt.NDArray[np.uint8], kind: str) -> list[Job]:
    """The job of reading one image: decode a JPEG from memory, resize and crop, on one thread. Empty for other kinds.

    Args:
        images: uint8 [N,*shape], from which the files are made.
        kind: the kind of input in the manifest.
    """
    reader = find_reader(kind)
    return [] if reader is None else [Job(READING, 1, Contender(reader.timed_read(images)))]


def _method(effort: Effort, threads: int, cores: tuple[int, ...], side: int, subjects: int) -> tuple[str, ...]:
    """The method in a few sentences; `side` is the side of the images that are read, 0 if none are."""
    turns = ", taking turns" if subjects > 1 else ""
    kept = f"pinned to core{'s' if len(cores) > 1 else ''} {', '.join(map(str, cores))}"
    where = kept if cores else "the libraries choose the cores"
    reading = (
        f"Reading: decode and resize in memory, one thread, JPEGs of {side} × {side} made from the golden images by "
        f"Pillow (quality {JPEG_QUALITY}). Images from a camera are larger and take longer."
    )
    return (
        f"{_extent(effort)}{turns}, after a warm-up; each run uses other images.",
        f"Threads on a CPU: {threads}; {where}.",
        "A run: from uint8 pixels to float32 logits, one run after the other; images/s: all images over their time.",
        "Copy and compute: by the GPU's clock, only for TensorRT engines; the runs of ONNX Runtime include its copies.",
        *([reading] if side else []),
    )


def _extent(effort: Effort) -> str:
    if isinstance(effort, AtLeast):
        return (
            f"Each takes at least {effort.seconds:g} s, and {effort.runs:,} runs of one image or {effort.images:,} "
            "images in larger batches"
        )
    if isinstance(effort, Exactly):
        return f"Each has {effort.runs:,} run{'s' if effort.runs > 1 else ''}"
    return (
        f"All measurements take {effort.seconds:g} s, with n runs of each; a percentile is shown if n is large enough"
    )
