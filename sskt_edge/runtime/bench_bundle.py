"""How fast is a bundle on this machine: reading an image, then every precision by everything here that takes it."""

from __future__ import annotations

import io
import itertools
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from sskt_edge.runtime.bench import Measurement, Subject, bench
from sskt_edge.runtime.bundle import Bundle
from sskt_edge.runtime.images import decode, to_square
from sskt_edge.runtime.machine.conditions import Conditions, Processor, conditions
from sskt_edge.runtime.machine.cores import kept_on_cores
from sskt_edge.runtime.manifest import Batch
from sskt_edge.runtime.openings import open_all
from sskt_edge.runtime.progress import QUIET, Progress
from sskt_edge.runtime.timing import ENOUGH, WARM_UP, Clock, Least, Side, Timing, take_turns, timing_from_seconds

_JPEG_QUALITY = 90


@dataclass(frozen=True)
class Benchmark:
    """What was measured, on what, and how.

    Attributes:
        bundle: the bundle's name.
        before: the machine before the first run.
        after: the machine just after the last run, still warm.
        threads: that every session on the CPU was given.
        kept_on: the cores that all of it was kept on, by the system's numbers; none: it was left to the system.
        least: how much was enough for each measurement.
        preprocessing: of one image, on one thread.
        measurements: in the order of the batch sizes, then of the subjects.
        precisions: subject's name → precision of the bundle.
        closed: what could not be opened here, and why.
        method: how it was measured, in a few sentences.
    """

    bundle: str
    before: Conditions
    after: Conditions
    threads: int
    kept_on: tuple[int, ...]
    least: Least
    preprocessing: Timing
    measurements: tuple[Measurement, ...]
    precisions: dict[str, str]
    closed: dict[str, str]
    method: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON; times in milliseconds."""
        return {
            "bundle": self.bundle,
            "before": self.before.as_json(),
            "after": self.after.as_json(),
            "threads": self.threads,
            "kept_on_cores": list(self.kept_on) or None,
            "least": self.least._asdict(),
            "method": list(self.method),
            "preprocessing": self.preprocessing.as_json(),
            "measurements": [
                {"precision": self.precisions[one.subject.name], **one.as_json()} for one in self.measurements
            ],
            "closed": self.closed,
        }


def bench_bundle(
    bundle: Bundle,
    precision: str | None = None,
    backend: str | None = None,
    provider: str | None = None,
    threads: int = 0,
    trust_engines: bool = False,
    least: Least = ENOUGH,
    progress: Progress = QUIET,
) -> Benchmark:
    """Measure a bundle with its golden images, at one image and at the batches that it is made for.

    Args:
        bundle: what to measure.
        precision: this one alone.
        backend: this library alone.
        provider: on this alone.
        threads: of one run on a CPU, all kept on as many cores; 0: one for each core that this process may use, kept
            on none.
        trust_engines: open engines that this machine did not build.
        least: how much is enough for each measurement.
        progress: draws the bars.

    Raises:
        InputError: what was asked for cannot be opened, or nothing can.
        WorkError: logits that are not finite numbers.
    """
    before = conditions()
    given = threads or usable_cores(before.processor)
    # The bar's own thread begins before, so that it is not kept on the cores that are measured.
    with progress.bar(f"bench {bundle.manifest.name}", 1) as bar, kept_on_cores(threads) as cores:
        opened, closed = open_all(bundle, precision, backend, provider, given, trust_engines)
        subjects = [Subject(one.name, one.session) for one in opened]
        images = bundle.golden().images
        reading = preprocessing(images, least, progress)
        found = bench(subjects, images, batches_of(bundle.manifest.input.batch), least, progress)
        bar.advance()
    return Benchmark(
        bundle=bundle.manifest.name,
        before=before,
        after=conditions(),
        threads=given,
        kept_on=cores,
        least=least,
        preprocessing=reading,
        measurements=tuple(found),
        precisions={one.name: one.precision for one in opened},
        closed=closed,
        method=_method(least, given, cores, images.shape[1], len(subjects)),
    )


def usable_cores(processor: Processor) -> int:
    """The cores that this process may use; in a container no more than its share of time keeps busy."""
    quota = processor.core_quota
    return processor.cores if quota is None else max(1, min(processor.cores, int(quota)))


def batches_of(batch: Batch) -> list[int]:
    """One image, or the fewest that the network takes; the usual batch; the largest."""
    return sorted({batch.min, batch.opt, batch.max})


def preprocessing(
    images: npt.NDArray[np.uint8],
    least: Least = ENOUGH,
    progress: Progress = QUIET,
    clock: Clock = time.perf_counter,
) -> Timing:
    """What it takes to read one image: decode a JPEG from memory, resize, cut. On one thread.

    The files are JPEGs that Pillow makes of `images`, uint8 [N,side,side,3].
    """
    side = images.shape[1]
    files = itertools.cycle([_jpeg(image) for image in images])
    reader = Side(lambda: to_square(decode(next(files), "a JPEG of a golden image"), side))
    take_turns([reader], least, what="pre-processing", progress=progress, clock=clock)
    return timing_from_seconds(reader.seconds)


def _jpeg(image: npt.NDArray[np.uint8]) -> bytes:
    content = io.BytesIO()
    Image.fromarray(image).save(content, "JPEG", quality=_JPEG_QUALITY)
    return content.getvalue()


def _method(least: Least, threads: int, cores: tuple[int, ...], side: int, subjects: int) -> tuple[str, ...]:
    turns = ", taking turns" if subjects > 1 else ""
    warm_up = min(WARM_UP.seconds, least.seconds)
    kept = f"all kept on core{'s' if len(cores) > 1 else ''} {', '.join(map(str, cores))}"
    where = kept if cores else "on which cores is left to the libraries"
    return (
        f"Each at least {least.seconds:g} s and {least.calls} runs{turns}, after {warm_up:g} s and {WARM_UP.calls} "
        "runs of warm-up; every run has other images.",
        f"Threads on a CPU: {threads}; {where}.",
        "A run: uint8 pixels to float32 logits, one run after the other; images/s: all images over all of that time.",
        "Copy and compute: by the GPU's clock, of TensorRT engines alone; ONNX Runtime's copies are within its runs.",
        f"Reading: decode and resize in memory, one thread, JPEGs of {side} × {side} that Pillow made of the golden "
        f"images (quality {_JPEG_QUALITY}). A camera's are larger and take longer.",
    )
