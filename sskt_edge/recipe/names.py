"""The names that a recipe may use, known without loading a network (tests hold them to the registries)."""

from __future__ import annotations

from typing import Literal

DataSetName = Literal["imagefolder", "stl10", "cifar10", "cifar100", "mnist5k", "digits"]
TargetName = Literal[
    "resnet20", "resnet32", "resnet44", "resnet56",
    "mobilenet_v2", "resnet18", "resnet34", "resnet50", "densenet121",
]  # fmt: skip

# The side that a target's input has if the recipe gives none.
DATA_SET_SIZES = {"imagefolder": 96, "stl10": 96, "cifar10": 32, "cifar100": 32, "mnist5k": 32, "digits": 32}

# The number format that a forward pass computes in.
Precision = Literal["fp32", "bf16", "fp16"]
