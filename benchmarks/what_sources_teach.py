"""How much of what a target learns from a source holds for new images, and how does that depend on the training images?

    python -m benchmarks.what_sources_teach --data FOLDER --record FILE [--seeds 0 1 2 3] [--set KEY=VALUE …]

It trains recipes/flowers.toml with SSKT (32 × 32, 40 % for validation; --set overrides values) from scratch, with the
source on only the labelled images, with the same labelled images a second time in every batch (in place of unlabelled
ones, as PNG copies), and with some or all of the other images without their labels. The test set is not read.

For each training it gives the validation accuracy, and the divergence KL(source ‖ branch) at T = 1 over the unaugmented
images, both those trained on and the validation images. For comparison, it also gives the divergence on the validation
images of a branch that knows only the source's mean answer, or only its mean answer for the right class, and the
validation accuracy of a linear layer on the source's logits, trained on the labelled images. Trainings are appended to
FILE, one JSON object per line, and are not repeated if they are in it; several processes may share the seeds.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sskt_edge.common.progress import QUIET
from sskt_edge.data.images import ImageSet
from sskt_edge.recipe.load import load_recipe
from sskt_edge.recipe.models import Recipe
from sskt_edge.training.inputs import Inputs, open_inputs
from sskt_edge.training.train import Fitted, fit

RECIPE = "recipes/flowers.toml"
BASE = [
    *("method.name=sskt", "data.unlabelled_ratio=1", "train.mixing.mixup=0", "train.batch_size=32"),
    *("data.validation=0.4", "data.image_size=32", "train.precision=bf16", "train.validate_every=1000"),
]
SCRATCH, ALONE, TWICE, ALL = "scratch", "labelled alone", "labelled twice", "all others"
CPU = torch.device("cpu")


class Answers(NamedTuple):
    """What the source says of images as they are. Logits float32 [N,C], labels int64 [N]."""

    logits: Tensor
    labels: Tensor


def answers(inputs: Inputs, recipe: Recipe, images: ImageSet) -> Answers:
    """Asked in torch fp32."""
    (source,) = inputs.sources
    size = inputs.source_views[source.name].size
    session = source.open(source.engines()[0], size, recipe.labels.batch_size)
    return Answers(torch.from_numpy(session.run(images.resized[size])), torch.from_numpy(images.labels))


def divergence(source: Tensor, branch: Tensor) -> float:
    """The mean of KL(source ‖ branch). Logits [N,C] and [N,C] or [1,C]."""
    said = torch.log_softmax(source, 1)
    return float((said.exp() * (said - torch.log_softmax(branch, 1))).sum(1).mean())


def mean_answers(known: Answers, labels: Tensor) -> Tensor:
    """For each label the log of the source's mean answer on its images. [M] → [M,C]."""
    said = known.logits.softmax(1)
    rows = torch.stack([said[known.labels == label].mean(0) for label in range(int(known.labels.max()) + 1)])
    return rows.log()[labels]


def probe(known: Answers, asked: Answers) -> float:
    """Accuracy on `asked` of a linear layer on the source's logits that was trained on `known`."""
    mean, spread = known.logits.mean(0), known.logits.std(0)
    layer = torch.nn.Linear(known.logits.shape[1], int(known.labels.max()) + 1)
    torch.nn.init.zeros_(layer.weight)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=500, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        logits = layer((known.logits - mean) / spread)
        value = torch.nn.functional.cross_entropy(logits, known.labels) + 1e-3 * layer.weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    right = layer((asked.logits - mean) / spread).argmax(1) == asked.labels
    return float(right.float().mean())


def unlabelled_folder(folder: Path, root: Path, images: ImageSet, copies: bool) -> str:
    """A folder of these images: the files themselves, or PNG files of the same pixels."""
    folder.mkdir(parents=True)
    for place, name in enumerate(images.names):
        if copies:
            Image.open(root / name).convert("RGB").save(folder / f"{place}.png", compress_level=1)
        else:
            shutil.copy(root / name, folder / f"{place}.jpg")
    return str(folder)


def arms(recipe: Recipe, inputs: Inputs, counts: Sequence[int], folder: Path) -> dict[str, list[str]]:
    """Name → the overrides of the recipe."""
    found = {SCRATCH: ["method.name=scratch"], ALONE: ["data.unlabelled="]}
    if inputs.unlabelled is None:
        return found
    assert recipe.data.root is not None
    root, others = Path(recipe.data.root), inputs.unlabelled
    found[TWICE] = [f"data.unlabelled={unlabelled_folder(folder / 'labelled', root, inputs.images, copies=True)}"]
    order = np.random.default_rng(0).permutation(len(others))
    for count in counts:
        rows = order[:count]
        some = ImageSet({}, others.labels[rows], others.hashes[rows], tuple(others.names[row] for row in rows))
        place = unlabelled_folder(folder / str(count), root, some, copies=False)
        found[f"{count} others"] = [f"data.unlabelled={place}"]
    return found | {ALL: []}


def branch_logits(done: Fitted, images: ImageSet) -> Tensor:
    """What the branch says of images as they are, in fp32; [N,C]."""
    learner = done.learner.eval()
    squares: NDArray[np.uint8] = images.resized[done.recipe.data.image_size]
    with torch.inference_mode():
        parts = [learner(done.context.pixels(torch.from_numpy(part))).branches for part in np.array_split(squares, 16)]
    return torch.cat([next(iter(part.values())) for part in parts])


def measured(done: Fitted, inputs: Inputs, known: Answers, asked: Answers) -> dict[str, float | None]:
    """Of one training."""
    assert inputs.validation is not None and done.state.validation_metric is not None
    found: dict[str, float | None] = {"top1": done.state.validation_metric, "trained": None, "new": None}
    if done.recipe.active_sources:
        found["trained"] = divergence(known.logits, branch_logits(done, inputs.images))
        found["new"] = divergence(asked.logits, branch_logits(done, inputs.validation))
    return found


def recorded(path: Path) -> list[dict[str, Any]]:
    """The trainings that are done."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def show(lines: Sequence[dict[str, Any]]) -> None:
    """The table of everything in the record, a row an arm."""
    by_arm: dict[str, dict[int, dict[str, float]]] = defaultdict(dict)
    for line in lines:
        by_arm[line["arm"]][line["seed"]] = line
    print("\n| arm | seeds | validation top-1, % | over scratch | sd | KL, trained on | KL, new |")
    print("|---|---|---|---|---|---|---|")
    for name, seeds in by_arm.items():
        top1 = 100 * np.array([found["top1"] for found in seeds.values()])
        over = [100 * (found["top1"] - by_arm[SCRATCH][seed]["top1"]) for seed, found in seeds.items()]
        spread = f"{np.std(over, ddof=1):.2f}" if len(over) > 1 and name != SCRATCH else ""
        row = [name, str(len(seeds)), f"{top1.mean():.2f}", f"{np.mean(over):+.2f}", spread]
        for key in ("trained", "new"):
            values = [found[key] for found in seeds.values() if found[key] is not None]
            row.append(f"{np.mean(values):.2f}" if values else "")
        print(f"| {' | '.join(row)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a folder with train/<class>")
    parser.add_argument("--record", required=True, type=Path, help="where trainings are added, one a line")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--counts", type=int, nargs="*", default=[500], help="of other images")
    parser.add_argument("--only", nargs="*", metavar="ARM", help="these arms")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--store", default="labels", help="where soft labels are kept")
    told = parser.parse_args()
    base = [f"data.root={told.data}", f"labels.store={told.store}", *BASE, *told.set]
    recipe = load_recipe(RECIPE, base)
    inputs = open_inputs(recipe, CPU, QUIET)
    sizes = [view.size for view in inputs.source_views.values()]
    as_seen = inputs.reader.training(sizes, QUIET)  # validation images have the first size alone
    known, asked = (answers(inputs, recipe, images) for images in as_seen if images is not None)
    mean = known.logits.softmax(1).mean(0, keepdim=True).log()
    print(f"{len(known.labels)} labelled images, {len(asked.labels)} for validation")
    print(f"a linear layer on the source's logits: {100 * probe(known, asked):.2f} % of the validation images")
    print(f"KL on them of the source's mean answer {divergence(asked.logits, mean):.2f}")
    print(f"of its mean answer for the right class {divergence(asked.logits, mean_answers(known, asked.labels)):.2f}")
    with tempfile.TemporaryDirectory() as folder:
        everything = arms(recipe, inputs, told.counts, Path(folder) / "images")
        for seed in told.seeds:
            for name, sets in everything.items():
                if told.only and name not in told.only:
                    continue
                if any((line["arm"], line["seed"]) == (name, seed) for line in recorded(told.record)):
                    continue
                done = fit(load_recipe(RECIPE, [*base, *sets, f"train.seed={seed}"]), Path(folder) / "runs")
                line = {"arm": name, "seed": seed, **measured(done, inputs, known, asked)}
                print(line, flush=True)
                with told.record.open("a") as file:
                    file.write(json.dumps(line) + "\n")
    show(recorded(told.record))


if __name__ == "__main__":
    main()
