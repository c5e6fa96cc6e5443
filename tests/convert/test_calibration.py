from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest

from sskt_edge.common.progress import QUIET
from sskt_edge.convert.calibration import METHODS, QUANTISED_OPS, Calibrated, Method, ranges
from sskt_edge.convert.int8_from_fp32 import prepared
from tests.convert.nets import CLASSES, WIDTH, Net, conv_weights, pictures, random_weights, trained


@pytest.fixture(scope="module")
def network() -> onnx.ModelProto:
    return prepared(trained())


def found_ranges(
    model: onnx.ModelProto, images: npt.NDArray[np.uint8], method: Method
) -> dict[str, tuple[float, float]]:
    table = ranges(model, images, method, QUIET)
    return {name: (data.range_value[0].item(), data.range_value[1].item()) for name, data in table.items()}


def true_ranges(model: onnx.ModelProto, images: npt.NDArray[np.uint8]) -> dict[str, tuple[float, float]]:
    """What the float tensors next to layers take, from a run of all images at once that gives them all back."""
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    kinds = {value.name: value for value in (*model.graph.value_info, *model.graph.output)}
    near = {name for node in model.graph.node if node.op_type in QUANTISED_OPS for name in (*node.input, *node.output)}
    names = sorted(name for name in near & kinds.keys() if kinds[name].type.tensor_type.elem_type == 1)
    wide.graph.output.extend(kinds[name] for name in names if name != "logits")
    session = onnxruntime.InferenceSession(wide.SerializeToString(), providers=["CPUExecutionProvider"])
    values = session.run(names, {"images": images})
    return {name: (float(value.min()), float(value.max())) for name, value in zip(names, values, strict=True)}


@pytest.mark.parametrize("count", [37, 16, 3, 1])
def test_minmax_is_the_range_of_all_values_whatever_the_last_batch(network: onnx.ModelProto, count: int) -> None:
    images = pictures(count, seed=5)[0]
    expected = true_ranges(network, images)
    # No image's values are the range of all.
    assert count == 1 or true_ranges(network, images[:1]) != expected

    found = found_ranges(network, images, "minmax")

    assert found.keys() == expected.keys()
    assert len(found) > 10
    for name, both in expected.items():
        assert found[name] == pytest.approx(both, rel=1e-4, abs=1e-5), name


@pytest.mark.parametrize("method", METHODS)
def test_every_tensor_of_a_layer_has_a_range_of_float32(network: onnx.ModelProto, method: Method) -> None:
    table = ranges(network, pictures(20)[0], method, QUIET)

    for node in network.graph.node:
        if node.op_type in QUANTISED_OPS and node.name != "shift_pixels":
            for name in (node.input[0], node.output[0]):
                low, high = table[name].range_value
                assert (low.dtype, high.dtype) == (np.float32, np.float32)
                assert low < high, name


def one_far_pixel(count: int = 100, side: int = 32) -> npt.NDArray[np.uint8]:
    """Dark images, and one value that is far: fewer than one in two hundred thousand."""
    images = np.random.default_rng(0).integers(0, 21, (count, side, side, 3), dtype=np.uint8)
    images[count // 2, 5, 5, 1] = 255
    return images


def test_percentile_leaves_a_far_value_out_and_minmax_does_not() -> None:
    net = Net(side=32)
    seen = net.pixels
    model = prepared(net.head(net.conv("conv1", seen, conv_weights(1, 3)), random_weights(2, CLASSES, WIDTH)))
    images = one_far_pixel()

    whole, cut = found_ranges(model, images, "minmax")[seen], found_ranges(model, images, "percentile")[seen]

    assert whole == pytest.approx((-2.0, 255 / 64 - 2))
    assert cut[0] == pytest.approx(-2.0)
    assert cut[1] == pytest.approx(20 / 64 - 2, abs=0.02), "all but the far value"


def test_percentile_is_never_wider_than_minmax(network: onnx.ModelProto) -> None:
    images = pictures(40, seed=5)[0]
    whole, cut = found_ranges(network, images, "minmax"), found_ranges(network, images, "percentile")
    assert whole.keys() == cut.keys()
    for name, (low, high) in whole.items():
        slack = 1e-5 * (high - low)
        assert low - slack <= cut[name][0] <= cut[name][1] <= high + slack, name


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_the_images_hardly_matters_dark_ones_may_be_first(
    network: onnx.ModelProto, method: Method
) -> None:
    bright = pictures(32, seed=5)[0]
    dark = np.zeros_like(bright)
    first = found_ranges(network, np.concatenate([dark, bright]), method)
    last = found_ranges(network, np.concatenate([bright, dark]), method)
    for name, (low, high) in first.items():
        assert last[name] == pytest.approx((low, high), abs=0.02 * (high - low)), name


@pytest.mark.parametrize("method", METHODS)
def test_the_same_images_give_the_same_ranges(network: onnx.ModelProto, method: Method) -> None:
    images = pictures(20)[0]
    assert found_ranges(network, images, method) == found_ranges(network, images, method)


@pytest.mark.parametrize("method", METHODS)
def test_it_is_silent_leaves_no_file_and_no_change(
    network: onnx.ModelProto,
    method: Method,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    folders = {name: tmp_path / name for name in ("here", "temporary")}
    for folder in folders.values():
        folder.mkdir()
    monkeypatch.chdir(folders["here"])
    monkeypatch.setattr(tempfile, "tempdir", str(folders["temporary"]))
    before, level = network.SerializeToString(), logging.getLogger().level

    ranges(network, pictures(20)[0], method, QUIET)

    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
    assert [path for folder in folders.values() for path in folder.iterdir()] == []
    assert network.SerializeToString() == before
    assert logging.getLogger().level == level


class Counted:
    """Progress that adds up."""

    def __init__(self) -> None:
        self.bars: list[list[int]] = []

    def bar(self, what: str, total: int) -> Counted:
        self.bars.append([total, 0])
        return self

    def __enter__(self) -> Counted:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def advance(self, steps: int = 1) -> None:
        self.bars[-1][1] += steps

    def note(self, text: str) -> None:
        pass

    def say(self, line: str) -> None:
        pass


def test_the_bar_counts_every_image(network: onnx.ModelProto) -> None:
    progress = Counted()
    ranges(network, pictures(37)[0], "minmax", progress)
    assert progress.bars == [[37, 37]]


def test_a_calibrated_network_computes_its_ranges_once(network: onnx.ModelProto) -> None:
    progress = Counted()
    calibrated = Calibrated(network, pictures(4)[0], progress)
    assert not progress.bars, "nothing is computed before it is needed"
    for method in (*METHODS, *METHODS):
        calibrated.ranges(method)
    assert progress.bars == [[4, 4]] * len(METHODS)
