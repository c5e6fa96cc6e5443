from __future__ import annotations

import pytest

from tests.recipe.small import SCRATCH, TEXT, fault


def with_key(line: str, table: str = "") -> str:
    """The recipe from scratch with one line more, in a table or at its head."""
    return f"{SCRATCH}\n[{table}]\n{line}\n" if table else f"{line}\n{SCRATCH}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (with_key("epoch = 3", "train"), "train.epoch: unknown key. Nearest: 'epochs'. Known here: batch_size,"),
        (
            with_key("sed = 3"),
            "sed: unknown key. Nearest: 'train.seed'. Known here: data, export, labels, method, name,",
        ),
        (with_key("epochs = 3"), "epochs: unknown key. Nearest: 'train.epochs'."),
        (with_key("lr = 3", "train"), "train.lr: unknown key. Nearest: 'train.optimizer.lr'."),
        (with_key("batch_size = 3"), "batch_size: unknown key. Nearest: 'labels.batch_size', 'train.batch_size'."),
        (with_key("zzz = 3"), "zzz: unknown key. Known here: data,"),
        (with_key("lables = {}"), "lables: unknown key. Nearest: 'labels'."),
        (
            with_key('optimizer = { name = "sgd", momentun = 0.5 }', "train"),
            "train.optimizer.momentun: unknown key. Nearest: 'momentum'.",
        ),
        (
            with_key('optimizer = { name = "adamw", momentum = 0.5 }', "train"),
            "train.optimizer.momentum: unknown key. Known here: betas, lr, name, weight_decay.",
        ),
        (with_key("batch = { mim = 2 }", "export"), "export.batch.mim: unknown key. Nearest: 'min'."),
        (
            TEXT + 'weight = "x"\n',
            "sources.1.weight: unknown key. Nearest: 'weights'. Known here: alpha, batchnorm, checkpoint,",
        ),
        (with_key('epochs = "ten"', "train"), "train.epochs: Input should be a valid integer"),
        (with_key("epochs = 2.5", "train"), "train.epochs: Input should be a valid integer"),
        (with_key("epochs = -1", "train"), "train.epochs: Input should be greater than or equal to 0, got -1."),
        (f"{TEXT}[method]\ntemperature = 0.0", "method.temperature: Input should be greater than 0, got 0.0."),
        (f"{TEXT}[method]\nalpha = inf", "method.alpha: Input should be a finite number, got inf."),
        (f"{TEXT}[method]\nalpha = nan", "method.alpha: Input should be a finite number, got nan."),
        (
            SCRATCH.replace("resnet20", "resnet2"),
            "target.model: unknown value 'resnet2'. Nearest: 'resnet20'. Known: resnet20, resnet32,",
        ),
        (SCRATCH.replace('"digits"', '"cifra10"'), "data.name: unknown value 'cifra10'. Nearest: 'cifar10'."),
        (SCRATCH.replace('name = "scratch"', ""), "name: this key is required."),
        (SCRATCH.replace('{ name = "digits" }', "{}"), "data.name: this key is required."),
        (with_key('views = "new"', "labels"), "labels.views: a number of at least 1, or 'fresh', got 'new'."),
        (with_key("views = 0", "labels"), "labels.views: a number of at least 1, or 'fresh', got 0."),
        (TEXT.replace("torchvision/resnet50", "resnet50"), "sources.0.model: "),
        (TEXT.replace('"imagenet"', '"image net"'), "sources.0.name: "),
        (SCRATCH.replace('name = "scratch"', 'name = "../up"'), "name: "),
    ],
)
def test_a_wrong_key_is_named_with_what_is_known(text: str, message: str) -> None:
    assert f"\n  {message}" in fault(text)


def test_every_wrong_key_is_named_at_once_and_only_once() -> None:
    lines = fault(TEXT + "[train]\nepoch = 3\nlr = 1\n[labels]\nviews = 0\n").splitlines()

    assert lines[0] == "'small.toml' is not a valid recipe:"
    assert sorted(line.split(":")[0].strip() for line in lines[1:]) == ["labels.views", "train.epoch", "train.lr"]


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        (SCRATCH, ["train.keep=best"], "train.keep = 'best' needs data.validation > 0"),
        (SCRATCH, ["train.schedule={name='plateau'}"], "train.schedule = 'plateau' needs data.validation > 0"),
        (SCRATCH, ["train.schedule={name='plateau', gamma=0.1}"], "train.schedule.gamma: unknown key."),
        (SCRATCH, ["train.epochs=0"], "train.epochs = 0 exports"),
        (SCRATCH, ["target.last_layer=kept"], "last_layer = 'kept' needs checkpoint"),
        (SCRATCH, ["train.optimizer={dampening=0.5, momentum=0}"], "dampening = 0.5 has no effect"),
        (SCRATCH, ["train.optimizer={nesterov=true, momentum=0}"], "nesterov needs momentum > 0"),
        (SCRATCH, ["train.optimizer={nesterov=true, dampening=0.5}"], "nesterov needs momentum > 0 and dampening = 0"),
        (TEXT, ["sources.0.outputs=features", "sources.0.classes=5"], "classes is the number of a source's logits"),
        (SCRATCH, ["method.name=sskt"], "method.name = 'sskt' needs at least one [[sources]]"),
        (TEXT, ["method.sources=[]"], "method.name = 'sskt' needs at least one [[sources]]"),
        (TEXT, ['method.sources=["imagenet", "flowers"]'], "method.sources: unknown source 'flowers'"),
        (TEXT, ["sources.1.name=imagenet"], "sources: every source needs a name of its own"),
        (TEXT, ["sources.1.name=total"], "sources: 'primary', 'total' and 'correct' are reserved"),
        (SCRATCH, ["target.weights=A", "target.checkpoint=B"], "target: weights and checkpoint exclude each other"),
        (SCRATCH, ["export.batch={min=2, opt=1, max=3}"], "export.batch: batch: min <= opt <= max must hold"),
        (SCRATCH, ["data.image_size=4"], "augment.crop_padding must be smaller than image_size = 4"),
        (
            SCRATCH,
            ["data.augment={crop_padding=2, random_resized_crop=[0.2, 1.0]}"],
            "data.augment: crop_padding and random_resized_crop exclude each other",
        ),
        (SCRATCH, ["data.augment.random_resized_crop=[0.9, 0.2]"], "0 < smallest <= largest <= 1"),
        (SCRATCH, ["data.augment.random_resized_crop=[0.0, 0.2]"], "0 < smallest <= largest <= 1"),
        (
            SCRATCH,
            ['train.schedule={name="steps", milestones=[20, 10]}'],
            "train.schedule: milestones must be in ascending order",
        ),
    ],
)
def test_keys_that_do_not_go_together_are_refused(text: str, overrides: list[str], message: str) -> None:
    assert message in fault(text, *overrides)
