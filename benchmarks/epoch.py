"""What does an epoch on stored soft labels cost, compared with one from scratch and one that asks the sources again?

    python -m benchmarks.epoch [--data FOLDER] [--target resnet20:64] [--rounds 11] [--starts 1] [--online SOURCE …]
    python -m benchmarks.epoch --together [--starts 10] …

The sides take turns of one epoch of 500 images. Each is a separate process, whose peak memory is printed; with
--together all run in one process, so that none has a better memory placement. It prints the medians, the median ratio
of the pairs with its quartiles, and n.

scratch, one source, two sources, probe (of one source): this package's loop, channels_last, views cut and labels read
from a store on disk.
online: the same steps, but each batch first goes through the source in its plain form: torch, fp32, NCHW, eval,
no_grad, with the view cut at the image's own resolution. ResNet50 has random weights, since only its time matters.
All sides keep freed memory, as the command `train` does.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import platform
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torchvision

from benchmarks.turns import serve, take_turns
from sskt_edge.common.progress import QUIET
from sskt_edge.data.images import ImageSet
from sskt_edge.data.inputs.image.cut import cut_views
from sskt_edge.data.inputs.image.image import IMAGE
from sskt_edge.data.inputs.input import ViewPolicy
from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.data.readers import open_data
from sskt_edge.methods.learner import Learner, TaughtBy
from sskt_edge.methods.probe.learner import probe_learner
from sskt_edge.methods.probe.options import ProbeOptions
from sskt_edge.methods.scratch.learner import scratch_learner
from sskt_edge.methods.scratch.options import ScratchOptions
from sskt_edge.methods.sskt.learner import sskt_learner
from sskt_edge.methods.sskt.options import SsktOptions
from sskt_edge.recipe.load import parse_recipe
from sskt_edge.recipe.models import Recipe, SourceOptions
from sskt_edge.recipe.precision import Precision
from sskt_edge.sources.probe.fit import fit_probes
from sskt_edge.sources.probe.probe_logits import with_probe
from sskt_edge.sources.soft_labels import SoftLabels
from sskt_edge.sources.store.store import LabelStore
from sskt_edge.sources.view_schedule import LabelPlan, ViewSchedule
from sskt_edge.sources.zoo import open_source
from sskt_edge.targets.run_layout import RunFolder
from sskt_edge.targets.spec import target_spec
from sskt_edge.tasks.single_label import SINGLE_LABEL
from sskt_edge.training.feed import Batch, Feed
from sskt_edge.training.learner import placed
from sskt_edge.training.loop import TrainContext, Trainer
from sskt_edge.training.memory import keep_freed_memory

COUNT, CLASSES, VIEWS, NATIVE = 500, 1000, 16, 160
CPU = torch.device("cpu")
SIDES = ("scratch", "one source", "two sources", "one source, no TM", "probe")


def images_of(data: str | None, size: int) -> ImageSet:
    """500 real images, or noise: the time is the same."""
    if data:
        text = f'name="x"\n[data]\nname="imagefolder"\nroot="{data}"\nimage_size={size}\nper_class=100'
        recipe = parse_recipe(f'{text}\n[target]\nmodel="resnet20"\n[method]\nname="scratch"')
        return open_data(recipe.data).training([size, NATIVE], QUIET)[0]
    random = np.random.default_rng(0)
    squares = {side: random.integers(0, 256, (COUNT, side, side, 3), dtype=np.uint8) for side in (size, NATIVE)}
    hashes = random.integers(0, 256, (COUNT, 32), dtype=np.uint8)
    return ImageSet(squares, np.arange(COUNT) % 5, hashes, tuple(map(str, range(COUNT))))


class Contender:
    """One way to train, ready to do an epoch again and again; `changes` are KEY=VALUE of its recipe."""

    def __init__(
        self,
        name: str,
        images: ImageSet,
        model: str,
        size: int,
        precision: Precision,
        folder: Path,
        changes: Sequence[str] = (),
    ) -> None:
        count = {"scratch": 0, "two sources": 2}.get(name, 1)
        names = [f"s{number}" for number in range(count)]
        recipe = recipe_of(model, size, changes)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            spec, options = target_spec(model), SsktOptions(alpha=1.0, transfer_module="no TM" not in name)
            sources = dict.fromkeys(names, TaughtBy(CLASSES))
            network = spec.build(5)
            if name == "probe":
                learner: Learner = probe_learner(ProbeOptions(), network, spec, sources)
            elif sources:
                learner = sskt_learner(options, network, spec, sources)
            else:
                learner = scratch_learner(ScratchOptions(), network, spec, {})
        placed(learner, recipe.train, CPU)
        context = TrainContext(recipe.train, None, SINGLE_LABEL, None, Pixels(size), CPU, precision)
        plan = LabelPlan(IMAGE, ViewPolicy(size, 4, None, True), 0, VIEWS, 64)
        schedule = ViewSchedule(images, plan, recipe.train.epochs)
        self.labels = SoftLabels(schedule, {source: stored(folder / "labels", source, schedule) for source in names})
        if name == "probe":
            probe = fit_probes(SINGLE_LABEL, images, "abcde", self.labels, QUIET)
            self.labels = with_probe(probe, self.labels, is_labelled=True, kept=())
        self.feed = Feed(images, self.labels, None, IMAGE, size, recipe.train.batch_size, 0)
        self.trainer = Trainer(learner, context, RunFolder(folder / name))
        self.epoch_number = 0

    def epoch(self, change: Callable[[Batch], Batch] = lambda batch: batch) -> None:
        """One epoch; `change` may do more with each batch."""
        self.trainer.learner.train()
        steps = self.feed.epoch(self.epoch_number)
        for step in steps:
            self.trainer.step(change(self.feed.batch(self.epoch_number, step)), len(steps))
        self.epoch_number += 1


def recipe_of(model: str, size: int, changes: Sequence[str] = ()) -> Recipe:
    """All defaults, except for `changes`."""
    data = f'name="x"\n[data]\nname="imagefolder"\nimage_size={size}\n[target]\nmodel="{model}"'
    return parse_recipe(f'{data}\n[method]\nname="scratch"', changes)


def stored(store: Path, name: str, schedule: ViewSchedule):  # type: ignore[no-untyped-def]
    """Labels on the disk; what they say does not matter here."""
    collection = LabelStore(store).collection({"model": name}, CLASSES)
    keys = schedule.keys[schedule.distinct]
    if collection.missing(keys).any():
        random = np.random.default_rng(0)
        with collection.held(), collection.writer({}) as writer:
            for part in np.array_split(keys, 16):
                writer.add(part, random.standard_normal((len(part), CLASSES), dtype=np.float32))
    opened = collection.open(schedule.keys)
    assert opened is not None
    return opened


def asking(source: str, images: ImageSet, size: int) -> Callable[[Batch], Batch]:
    """The online side's part: the source asked about as many views as the batch has, as one would write it."""
    if source == "efficientnet_lite0":
        opened = open_source(SourceOptions(name="s0", model="package/efficientnet_lite0"), CPU)
        network, pixels = opened.network, opened.pixels  # type: ignore[attr-defined]
    else:
        network, pixels = torchvision.models.get_model(source, num_classes=CLASSES).eval(), Pixels(224)
    network = network.to(memory_format=torch.contiguous_format)
    views = np.array([[2, -3, size, size, 1]], dtype=np.int32)

    def ask(batch: Batch) -> Batch:
        rows = np.arange(len(batch.images))
        cut = cut_views(images.resized[NATIVE], rows, np.repeat(views, len(rows), axis=0), size)
        with torch.no_grad():
            logits = network(pixels(torch.from_numpy(cut)))
        return dataclasses.replace(batch, soft={"s0": logits.numpy()})

    return ask


def work(names: list[str], images: ImageSet, model: str, size: int, precision: Precision) -> None:
    """The process of one side, or of several."""
    keep_freed_memory()  # as the command train does; the online sides too
    with tempfile.TemporaryDirectory() as folder:
        sides: dict[str, Callable[[], None]] = {}
        for name in names:
            plain, _, source = name.partition("online, ")
            side = Contender(plain or "one source", images, model, size, precision, Path(folder))
            sides[name] = functools.partial(side.epoch, asking(source, images, size)) if source else side.epoch
        serve(sides)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="a folder with train/ and test/; noise without it")
    parser.add_argument("--target", default="resnet20:64", metavar="NAME:SIZE")
    parser.add_argument("--precision", choices=["bf16", "fp32"], default="bf16")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--online", nargs="*", default=["efficientnet_lite0", "resnet50"])
    parser.add_argument("--starts", type=int, default=1, help="how many times to start all processes")
    parser.add_argument("--together", action="store_true", help="all sides but the online ones, in one process")
    parser.add_argument("--only", action="append", help=argparse.SUPPRESS)
    told = parser.parse_args()
    model, _, size = told.target.partition(":")
    if told.only:
        work(told.only, images_of(told.data, int(size)), model, int(size), told.precision)
        return
    print(
        f"torch {torch.__version__}, Python {platform.python_version()}, {torch.get_num_threads()} threads, "
        f"{torch.backends.cpu.get_cpu_capability()}; {told.target} in {told.precision}, {COUNT} images\n"
    )
    same = ["--data", told.data] if told.data else []
    same += ["--target", told.target, "--precision", told.precision]
    names = [*SIDES, *(f"online, {source}" for source in told.online if not told.together)]
    taken = take_turns("benchmarks.epoch", same, names, told.rounds, starts=told.starts, together=told.together)
    print("| an epoch | seconds | / scratch (quartiles) | / one source (quartiles) | peak memory, GB | n |")
    print("|---|---|---|---|---|---|")
    for name, one in taken.items():
        ratios = f"{one.over(taken['scratch'])} | {one.over(taken['one source'])}"
        print(f"| {name} | {one.median:.2f} | {ratios} | {one.gigabytes:.2f} | {len(one.seconds)} |")


if __name__ == "__main__":
    main()
