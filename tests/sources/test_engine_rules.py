"""int8 is tried where a probe reads the source, and elsewhere only where a recipe names it."""

from __future__ import annotations

import numpy as np

from sskt_edge.recipe.gate import GateOptions
from sskt_edge.sources.engine_rules import EngineRules
from sskt_edge.sources.engines import ENGINES
from sskt_edge.sources.probe.judge import ProbeJudge
from sskt_edge.tasks.single_label import SINGLE_LABEL
from tests.sources.probe.sets import image_set

INT8 = {name for name, engine in ENGINES.items() if engine.precision == "int8"}
PROBE = ProbeJudge(SINGLE_LABEL, image_set(np.arange(12) % 2), "ab", np.arange(12), GateOptions())


def allowed(rules: EngineRules) -> set[str]:
    return {name for name, engine in ENGINES.items() if rules.allow(engine)}


def test_int8_is_left_out_where_logits_are_learned() -> None:
    assert {"onnxruntime-int8", "openvino-int8"} == INT8
    assert allowed(EngineRules()) == set(ENGINES) - INT8
    assert allowed(EngineRules(judge=PROBE)) == set(ENGINES)


def test_a_recipe_may_name_int8_for_any_method() -> None:
    assert allowed(EngineRules(precision="int8")) == INT8
    assert allowed(EngineRules("openvino", "int8")) == {"openvino-int8"}
    assert not allowed(EngineRules("torch", "int8"))
