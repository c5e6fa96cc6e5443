"""A training that takes a second or two: scikit-learn's digits at 16 × 16, one small source that was trained here."""

from __future__ import annotations

from pathlib import Path

from sskt_edge.recipe import Recipe, parse_recipe

TEXT = """
name = "small"
[data]
name = "digits"
image_size = 16
per_class = 6
augment = { crop_padding = 2, horizontal_flip = false }
[target]
model = "resnet20"
[[sources]]
name = "teacher"
model = "run/%s"
[labels]
views = 2
batch_size = 32
[train]
precision = "fp32"
epochs = 3
batch_size = 16
optimizer = { name = "sgd", lr = 0.05 }
[export]
golden = 20
"""


def text(source: Path) -> str:
    """The recipe's text, with the run in `source` as its source."""
    return TEXT % source


def recipe(source: Path, *overrides: str) -> Recipe:
    """The recipe, with the run in `source` as its source."""
    return parse_recipe(text(source), overrides)
