"""How much overhead does `sskt-edge bench` add to plain ONNX Runtime on the same file?

    python -m benchmarks.bench_overhead BUNDLE… [--images 64] [--rounds 101] [--starts 3] [--threads 0]

It runs on the CPU, at a batch of one and at the bundle's usual batch. "Ours" is a session of the bundle in the loop of
`bench`, with its clock and bookkeeping. "Plain" is an InferenceSession of the same file in a bare loop, with only the
number of threads set. Both get the same images in the same order. They run in one process, so that they have the same
conditions, and take turns of --images images; all of this is repeated --starts times. It prints the median time per
image, the median of the rounds' ratios minus one, with its quartiles, and n. Before that it checks that the logits of
both sides are equal bit for bit.
"""

from __future__ import annotations

import argparse
import itertools
import platform
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.turns import Taken, serve, take_turns
from sskt_edge.bundle.bundle import Bundle, open_bundle
from sskt_edge.evaluation.bench import Runs, Subject
from sskt_edge.evaluation.timing import Budget, repeat
from sskt_edge.inference.open_session import open_session
from sskt_edge.inference.session import Session
from sskt_edge.machine.conditions import conditions
from sskt_edge.machine.cores import usable_cores

Feeds = list[NDArray[np.uint8]]


def ours_of(bundle: Bundle, threads: int) -> Session:
    return open_session(bundle, "fp32", "onnxruntime", "cpu", threads)


def plain_of(bundle: Bundle, threads: int) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """What a user with only ONNX Runtime would write."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    content = bundle.read(bundle.manifest.precisions["fp32"].file)
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = session.run(None, {name: images})[0]
        return logits

    return run


def feeds_of(bundle: Bundle, batch: int) -> Feeds:
    """All whole batches of the golden images."""
    images = bundle.golden().images
    return [images[start : start + batch] for start in range(0, len(images) - batch + 1, batch)]


def ours(session: Session, feeds: Feeds, runs: int) -> Callable[[], object]:
    call = Runs(Subject("ours", session), feeds).call
    return lambda: repeat(call, Budget(0.0, runs))


def plain(run: Callable[[NDArray[np.uint8]], object], feeds: Feeds, runs: int) -> Callable[[], object]:
    inputs = itertools.cycle(feeds)

    def turn() -> None:
        for _ in range(runs):
            run(next(inputs))

    return turn


def work(path: Path, batch: int, images: int, threads: int) -> None:
    """The process of both sides."""
    bundle = open_bundle(path)
    feeds, runs = feeds_of(bundle, batch), max(images // batch, 1)
    serve(
        {
            "ours": ours(ours_of(bundle, threads), feeds, runs),
            "plain": plain(plain_of(bundle, threads), feeds, runs),
        }
    )


def compare_logits(bundle: Bundle, threads: int) -> None:
    images = bundle.golden().images
    if not np.array_equal(ours_of(bundle, threads).run(images[:64]), plain_of(bundle, threads)(images[:64])):
        raise SystemExit(f"{bundle.path}: the logits differ")


def added(ours: Taken, plain: Taken) -> str:
    """The median of the rounds' ratios less one, and its quartiles."""
    low, middle, high = np.percentile(np.array(ours.seconds) / np.array(plain.seconds) - 1, [25, 50, 75])
    return f"{middle:+.1%} ({low:+.1%} to {high:+.1%})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=101)
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--batch", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--only", action="append", help=argparse.SUPPRESS)
    told = parser.parse_args()
    machine = conditions()
    threads = told.threads or usable_cores(machine.processor)
    if told.only:
        work(told.bundles[0], told.batch, told.images, threads)
        return
    print(
        f"{machine.processor.name}, {machine.processor.cores} cores, {threads} threads, "
        f"onnxruntime {onnxruntime.__version__}, Python {platform.python_version()}\n"
    )
    head = ("network", "side", "batch", "plain, ms/image", "ours, ms/image", "added (quartiles)", "n")
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for path in told.bundles:
        bundle = open_bundle(path)
        compare_logits(bundle, threads)
        takes = bundle.manifest.input
        for batch in sorted({1, takes.batch.opt}):
            words = [str(path), "--batch", str(batch), "--images", str(told.images), "--threads", str(threads)]
            taken = take_turns(
                "benchmarks.bench_overhead", words, ["ours", "plain"], told.rounds, starts=told.starts, together=True
            )
            images = max(told.images // batch, 1) * batch
            row = [bundle.manifest.target, str(takes.shape[0]), str(batch)]
            row += [f"{taken[side].median / images * 1e3:.3f}" for side in ("plain", "ours")]
            row += [added(taken["ours"], taken["plain"]), str(len(taken["ours"].seconds))]
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
