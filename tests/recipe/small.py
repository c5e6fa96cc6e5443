"""A recipe with two sources, to be changed by a test."""

from __future__ import annotations

TEXT = """
name = "small"
[data]
name = "digits"
[target]
model = "resnet20"
[[sources]]
name = "imagenet"
model = "torchvision/resnet50"
weights = "IMAGENET1K_V1"
[[sources]]
name = "places365"
model = "torchvision/resnet50"
checkpoint = "places.pth"
"""

SCRATCH = """
name = "scratch"
data = { name = "digits" }
target = { model = "resnet20" }
sskt = { method = "scratch" }
"""
