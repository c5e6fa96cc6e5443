from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sskt_edge.common.progress import QUIET
from sskt_edge.convert.calibration import ranges
from sskt_edge.convert.evaluation_set import EvaluationSet
from sskt_edge.convert.int8_from_fp32 import CPU, TENSORRT, Form, layers, prepared, quantised
from sskt_edge.convert.sensitivity import by_sensitivity
from sskt_edge.inference.runners import Runner, runners_here, runners_of
from tests.convert.nets import ORT, evaluation_set_of, logits_of, pictures, trained

by_form = pytest.mark.parametrize("form", [TENSORRT, CPU], ids=lambda form: form.name)


def ranking_of(
    content: bytes, form: Form, evaluation_set: EvaluationSet, runners: tuple[Runner, ...] = (ORT,)
) -> list[str]:
    model = prepared(content)
    table: Any = ranges(model, pictures(48, seed=3)[0], "minmax", QUIET)
    return [layer.name for layer in by_sensitivity(model, table, form, evaluation_set, runners, QUIET)]


@by_form
@pytest.mark.parametrize("spoilt", ["conv2", "conv3", "conv4", "fc"])
def test_the_layer_that_int8_ruins_comes_first(form: Form, spoilt: str) -> None:
    content = trained((spoilt,), residual=False)
    ranking = ranking_of(content, form, evaluation_set_of(content))

    assert ranking[0] == spoilt
    assert sorted(ranking) == sorted(layer.name for layer in layers(prepared(content))), "each once"


def test_two_layers_that_int8_ruins_come_before_all_others() -> None:
    content = trained(("conv3", "fc"), residual=False)
    assert set(ranking_of(content, TENSORRT, evaluation_set_of(content))[:2]) == {"conv3", "fc"}


def test_the_order_is_that_of_the_logits_errors() -> None:
    content, evaluation_set = trained(), evaluation_set_of(trained())
    model = prepared(content)
    table: Any = ranges(model, pictures(48, seed=3)[0], "minmax", QUIET)
    errors = {
        layer.name: np.mean(
            (
                logits_of(quantised(model, table, TENSORRT, [layer.node]), evaluation_set.images[:64])
                - evaluation_set.logits[:64]
            )
            ** 2
        )
        for layer in layers(model)
    }

    ranking = ranking_of(content, TENSORRT, evaluation_set)

    in_order = [errors[name] for name in ranking]
    assert in_order == sorted(in_order, reverse=True)
    assert in_order[0] > 2 * in_order[-1]


def test_every_runner_is_asked() -> None:
    runners = runners_of("int8", runners_here())
    content = trained(("conv3",), residual=False)
    assert ranking_of(content, TENSORRT, evaluation_set_of(content), runners)[0] == "conv3"


def test_a_layer_whose_answers_are_no_numbers_is_worst_of_all() -> None:
    evaluation_set = evaluation_set_of(trained(("conv3",)))
    logits = evaluation_set.logits.copy()
    logits[0, 0] = np.nan
    ranking = ranking_of(
        trained(("conv3",)),
        TENSORRT,
        EvaluationSet(evaluation_set.images, evaluation_set.labels, logits, evaluation_set.batch, evaluation_set.task),
    )
    # All are equally bad, and stay in the network's order.
    assert ranking == [layer.name for layer in layers(prepared(trained(("conv3",))))]


def test_few_images_suffice_and_labels_are_not_looked_at() -> None:
    content = trained(("conv4",), residual=False)
    evaluation_set = evaluation_set_of(content, 3, labels=np.full(3, -1, dtype=np.int64))
    assert ranking_of(content, TENSORRT, evaluation_set)[0] == "conv4"
