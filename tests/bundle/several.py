"""A bundle of several classes an image: its network is a matrix, an image has a stripe of each colour that it shows."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from sskt_edge.bundle.bundle import MANIFEST
from sskt_edge.bundle.golden import Golden, pixel_hashes
from tests.bundle.tiny import BIAS, CLASSES, COLOURS, SIDE, reference, tiny_model, write_bundle
from tests.sealed import changed

LOWER = np.array([-0.95, -1.05, -0.55], dtype=np.float32)
"""Of the bias, so that a logit is above 0 where its colour covers a quarter of the image or more."""

SHOWN = [names for count in range(4) for names in itertools.combinations(CLASSES, count)]
"""Each set of classes, none among them."""


def striped(names: tuple[str, ...], number: int) -> npt.NDArray[np.uint8]:
    """The image `number` of a set of classes: a stripe of each one's colour, else grey. uint8 [SIDE,SIDE,3]."""
    noise = np.random.default_rng([number, len(names)]).integers(-9, 10, (SIDE, SIDE, 3))
    colours = [COLOURS[name] for name in names] or [(20, 20, 20)]
    stripes = np.array([colours[column * len(colours) // SIDE] for column in range(SIDE)])
    return np.clip(stripes[None] + noise, 0, 255).astype(np.uint8)


def images_of(each: int = 2) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int8]]:
    """`each` images a set of classes, with what they show. uint8 [N,SIDE,SIDE,3], int8 [N,3]."""
    images = np.stack([striped(names, number) for names in SHOWN for number in range(each)])
    labels = np.array([[name in names for name in CLASSES] for names in SHOWN for _ in range(each)])
    return images, labels.astype(np.int8)


def lowered_model(weight: npt.NDArray[np.float32] | None = None) -> bytes:
    """The tiny network with the lower bias, and with other weights [3,3] if some are given."""
    model: Any = tiny_model()
    for tensor in model.graph.initializer:
        if tensor.name == "bias":
            tensor.raw_data = (BIAS + LOWER).tobytes()
        if tensor.name == "weight" and weight is not None:
            tensor.raw_data = weight.tobytes()
    content: bytes = model.SerializeToString()
    return content


def several_golden(each: int = 2) -> Golden:
    images, labels = images_of(each)
    logits = reference(images) + LOWER
    return Golden(images[::2], labels[::2], logits[::2], pixel_hashes(images), labels, logits)


def write_several(root: Path, golden: Golden | None = None, **others: bytes) -> Path:
    """The whole bundle."""
    path = write_bundle(root, model=lowered_model(), golden=golden or several_golden(), **others)
    with changed(path / MANIFEST) as manifest:
        manifest["task"] = "multi_label"
        manifest["test"] = {"metric": "mAP", "images": 16, "value": 1.0, "interval": [0.9, 1.0], "further": {}}
    return path


def write_table(folder: Path, each: int = 2, head: str = "path,classes", end: str = "") -> Path:
    """folder/labels.csv, whose cells name the classes, and its images; `end` closes each row."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for names in SHOWN:
        for number in range(each):
            file = f"{'-'.join(names) or 'none'} {number}.png"
            Image.fromarray(striped(names, number)).save(folder / file)
            rows.append(f"{file},{'|'.join(names)}{end}")
    (folder / "labels.csv").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return folder / "labels.csv"
