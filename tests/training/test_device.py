"""Where training runs, in which precision, and what it leaves as it was."""

from __future__ import annotations

import pytest
import torch

from sskt_edge.common.errors import RecipeError
from sskt_edge.recipe.precision import Precision
from sskt_edge.training.device import choose_device, choose_precision

CPU = torch.device("cpu")


def never(_: Precision) -> None:
    raise AssertionError("measured although the recipe says which precision")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_device_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(RecipeError, match=r"train\.device = 'cuda'.*available: .*cpu"):
        choose_device("cuda")


@pytest.mark.skipif(torch.cuda.is_available() or torch.backends.mps.is_available(), reason="this machine has more")
def test_auto_is_the_cpu_where_there_is_nothing_else() -> None:
    assert choose_device("auto") == CPU


@pytest.mark.parametrize("asked", ["fp32", "bf16"])
def test_a_precision_that_the_recipe_names_is_taken_unmeasured(asked: str) -> None:
    assert choose_precision(asked, CPU, never)[0] == asked


def test_half_precision_needs_cuda() -> None:
    with pytest.raises(RecipeError, match="fp16' needs CUDA"):
        choose_precision("fp16", CPU, never)


@pytest.mark.parametrize(("slow", "taken"), [("bf16", "fp32"), ("fp32", "bf16")])
def test_auto_takes_what_is_measured_to_be_faster(slow: str, taken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sskt_edge.training.device.has_fast_bf16", lambda: True)

    def step(precision: Precision) -> None:
        matrix = torch.ones(200, 200)
        for _ in range(200 if precision == slow else 1):
            matrix = matrix @ matrix

    assert choose_precision("auto", CPU, step)[0] == taken


def test_auto_is_full_precision_where_the_cpu_has_no_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sskt_edge.training.device.has_fast_bf16", lambda: False)
    assert choose_precision("auto", CPU, never) == ("fp32", "this cpu has no fast bf16")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_cuda_trains_in_a_lower_precision() -> None:
    device = choose_device("auto")
    assert device.type == "cuda"
    assert choose_precision("auto", device, never)[0] in {"bf16", "fp16"}
