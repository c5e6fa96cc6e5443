"""Which engine is taken: the store's, else the fastest that passes; never one that the recipe or the gate refuses."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sskt_edge.common.errors import MissingExtraError, NetworkError, ParityError, RecipeError, RunError
from sskt_edge.common.progress import QUIET, Quiet
from sskt_edge.recipe.models import LabelOptions
from sskt_edge.sources.engine_selection import Choice, choose, fastest_choice
from sskt_edge.sources.engines import ENGINES, SourceEngine
from sskt_edge.sources.fill import _told, fill
from sskt_edge.sources.gate import GateVerdict
from sskt_edge.sources.label_query import GATE_VIEWS, LabelQuery
from sskt_edge.sources.source import TorchSource
from sskt_edge.sources.store.store import LabelStore
from tests.sealed import changed
from tests.sources.questions import BATCH, Counted, Spoil, image_set, labels, question, small_source, wanted

TORCH, ONNX = ENGINES["torch-fp32"], ENGINES["onnxruntime-fp32"]
MANY = image_set(1100)  # of two views each: enough to be worth a trial


def slow(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    time.sleep(0.01)
    return logits


def reversed_classes(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    return logits[:, ::-1]


@pytest.fixture(scope="module")
def whole() -> TorchSource:
    return small_source()


def chosen(
    asked: LabelQuery, recipe: LabelOptions, store: LabelStore | None = None, pinned: str | None = None
) -> Choice:
    return choose(asked, recipe, store, pinned, QUIET, lambda: None)


def filled(asked: LabelQuery, choice: Choice, store: LabelStore) -> None:
    fill(asked, choice, asked.collection(store, choice.engine, 0), "a test", 1.0, QUIET, lambda: None)


def test_few_views_are_asked_of_the_reference_and_nothing_is_tried(whole: TorchSource) -> None:
    source = Counted(whole)
    choice = chosen(question(source), labels())
    assert (choice.engine, choice.why) == (TORCH, "too few views to try others for")
    assert source.batches == []


def test_the_only_engine_that_the_recipe_allows_is_not_tried_if_it_is_the_reference(whole: TorchSource) -> None:
    source = Counted(whole)
    choice = chosen(question(source, wanted(MANY)), labels(engine="torch", precision="fp32"))
    assert (choice.engine, choice.why) == (TORCH, "as the recipe says")
    assert source.batches == []


def test_the_speed_of_an_engine_that_needs_no_trial_is_measured_by_a_batch_before_much_is_asked(
    whole: TorchSource, tmp_path: Path
) -> None:
    source, store = Counted(whole), LabelStore(tmp_path)
    alone = labels(engine="torch", precision="fp32", batch_size=BATCH)
    little = chosen(question(source, wanted(image_set(BATCH))), alone, store)
    assert (little.images_per_second, source.batches) == (None, [])
    asked = question(source, wanted(MANY))
    much = chosen(asked, alone, store)
    assert source.batches == [BATCH, BATCH]
    assert much.images_per_second is not None
    assert much.verdict is None
    filled(asked, much, store)
    source.batches.clear()
    assert chosen(question(source, wanted(image_set(1200))), alone, store).images_per_second is None
    assert source.batches == []


def test_the_fastest_engine_that_passes_is_taken(whole: TorchSource) -> None:
    spoil: dict[SourceEngine, Spoil] = {engine: slow for engine in whole.engines() if engine != ONNX}
    choice = chosen(question(Counted(whole, spoil), wanted(MANY)), labels())
    assert choice.engine == ONNX
    assert {verdict.engine for verdict in choice.verdicts} == set(whole.engines())
    assert choice.verdict is not None
    assert choice.verdict.passed
    assert "× torch-fp32" in choice.why


def test_a_trial_is_announced_before_a_view_is_asked(whole: TorchSource) -> None:
    source, said = Counted(whole), list[str]()

    class Heard(Quiet):
        def say(self, line: str) -> None:
            assert source.batches == []
            said.append(line)

    asked = question(source, wanted(MANY))
    choose(asked, labels(engine="onnxruntime"), None, None, Heard(), lambda: None)
    assert said == [
        f"small: up to {asked.views:,} views to ask; onnxruntime-fp32 is tried on {GATE_VIEWS} of them first"
    ]


def test_a_fast_engine_that_answers_otherwise_is_not_taken(whole: TorchSource) -> None:
    wrong: dict[SourceEngine, Spoil] = {engine: reversed_classes for engine in whole.engines() if engine != TORCH}
    choice = chosen(question(Counted(whole, wrong | {TORCH: slow}), wanted(MANY)), labels())
    assert choice.engine == TORCH


def test_a_named_engine_that_the_gate_refuses_is_an_error_with_its_figures(whole: TorchSource) -> None:
    asked = question(Counted(whole, {ONNX: reversed_classes}))
    with pytest.raises(
        ParityError,
        match=r"KL at most 0\.004, agreement at least 97\.0%\)\. onnxruntime-fp32: KL .* nats, at most 0\.004 "
        r"allowed; .*% agree, at least 97\.0% asked\. Set labels\.engine",
    ):
        chosen(asked, labels(engine="onnxruntime"))


def test_an_engine_that_the_store_has_labels_of_is_kept_though_another_is_faster(
    whole: TorchSource, tmp_path: Path
) -> None:
    source, store = Counted(whole, {TORCH: slow}), LabelStore(tmp_path)
    asked, recipe = question(source, wanted(MANY)), labels()
    measured = chosen(asked, recipe)
    assert measured.engine != TORCH
    few = question(source, wanted(image_set(50)))
    filled(few, Choice(TORCH, "a test", measured.verdicts, 50.0), store)
    source.batches.clear()
    for part, why in ((asked, "the store has a part of its labels"), (few, "the store has its labels")):
        choice = chosen(part, recipe, store)
        assert (choice.engine, choice.why) == (TORCH, why)
    assert source.batches == []


def test_what_the_gate_said_on_other_images_does_not_count(whole: TorchSource, tmp_path: Path) -> None:
    source, store = Counted(whole), LabelStore(tmp_path)
    measured = chosen(question(source, wanted(MANY)), labels(engine="onnxruntime"))
    few = question(source, wanted(image_set(50)))
    filled(few, measured, store)
    kept = chosen(question(source, wanted(image_set(100))), labels(engine="onnxruntime"), store)
    assert kept.why == "the store has a part of its labels"
    again = chosen(question(source, wanted(MANY)), labels(engine="onnxruntime"), store)
    assert again.verdict is not None
    assert again.why.startswith("the fastest that passes the gate")


def judged(engine: SourceEngine) -> Choice:
    """As if a trial had found that the engine passes; a real one would take a second here."""
    return Choice(engine, "a test", (GateVerdict(engine, "cpu", 50.0, 0.0, 1.0, 1.0, 1.0, True, "", 0.0),), 50.0)


def test_more_views_of_the_same_images_are_asked_of_the_engine_that_the_store_has(
    whole: TorchSource, tmp_path: Path
) -> None:
    source, store = Counted(whole, {ONNX: slow}), LabelStore(tmp_path)
    one_view = question(source, wanted(image_set(60), views=1, turns=60))
    filled(one_view, judged(ONNX), store)
    source.batches.clear()
    # The store has a sixtieth of it; any other engine would be measured as faster.
    choice = chosen(question(source, wanted(image_set(60), views=60, turns=60)), labels(), store)
    assert (choice.engine, choice.why) == (ONNX, "the store has a part of its labels")
    assert source.batches == []


def test_a_filling_that_was_stopped_early_binds_to_the_engine_that_was_judged_for_it(
    whole: TorchSource, tmp_path: Path
) -> None:
    source, store = Counted(whole, {ONNX: slow}), LabelStore(tmp_path)
    asked = question(source, wanted(MANY))
    collection = asked.collection(store, ONNX, 0)
    told = _told(asked, judged(ONNX), "a test", 1.0).model_dump()
    keys = asked.wanted[0].keys[asked.wanted[0].distinct[:BATCH]]
    with collection.held(), collection.writer(told) as writer:
        writer.add(keys, np.zeros((BATCH, source.classes), dtype=np.float32))
    assert chosen(asked, labels(), store).engine == ONNX
    assert source.batches == []


def test_an_engine_that_has_a_part_is_not_left_for_one_that_a_trial_finds_a_little_faster(
    whole: TorchSource, tmp_path: Path
) -> None:
    asked, store = question(whole, wanted(MANY)), LabelStore(tmp_path)
    few = question(whole, wanted(image_set(50)))
    filled(few, judged(ONNX), store)

    def measured(onnx: float, torch: float) -> SourceEngine:
        speeds = {TORCH: torch, ONNX: onnx}
        verdicts = [GateVerdict(it, "cpu", speed, 0.0, 1.0, 1.0, 0.8, True, "", 0.0) for it, speed in speeds.items()]
        return fastest_choice(asked, labels(), verdicts, list(speeds), store).engine

    assert measured(onnx=100.0, torch=115.0) == ONNX
    assert measured(onnx=100.0, torch=200.0) == TORCH


def test_all_labels_of_an_engine_that_is_not_installed_any_more_are_taken(
    whole: TorchSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    source, store = Counted(whole), LabelStore(tmp_path)
    asked, gone = question(source), ENGINES["openvino-fp32"]
    filled(asked, chosen(asked, labels(engine="openvino", precision="fp32")), store)
    path = asked.collection(store, gone, 0).path
    source.batches.clear()
    monkeypatch.setitem(sys.modules, "openvino", None)

    for pinned in (None, gone.name):
        choice = chosen(asked, labels(), store, pinned)
        assert choice.engine == gone
        assert choice.stored is not None and choice.stored.path == path
        assert fill(asked, choice, choice.stored, "a test", 1.0, QUIET, lambda: None) == 0
    assert source.batches == []
    more = question(source, wanted(image_set(12)))  # it would have to ask
    assert chosen(more, labels(), store).engine == TORCH
    monkeypatch.setattr("sskt_edge.sources.engines._processor", lambda *_: "another")
    assert chosen(asked, labels(), store).engine == TORCH


def test_a_first_try_on_few_images_does_not_bind_to_the_reference(whole: TorchSource, tmp_path: Path) -> None:
    source, store = Counted(whole, {TORCH: slow}), LabelStore(tmp_path)
    few = question(source, wanted(image_set(50)))
    filled(few, chosen(few, labels(), store), store)
    assert chosen(few, labels(), store).why == "the store has its labels"
    assert chosen(question(source, wanted(image_set(60))), labels(), store).why == "the store has a part of its labels"
    many = chosen(question(source, wanted(MANY)), labels(), store)
    assert many.engine != TORCH


def test_an_engine_in_the_store_is_held_against_the_limits_of_now(whole: TorchSource, tmp_path: Path) -> None:
    source, store = Counted(whole, {ONNX: lambda logits: logits * 1.01}), LabelStore(tmp_path)
    wide = {"kl": 1.0, "agreement": 0.0, "near_tie": 0.8}
    asked, recipe = question(source), labels(engine="onnxruntime", gate=wide)
    filled(asked, chosen(asked, recipe, store), store)
    assert chosen(asked, recipe, store).why == "the store has its labels"
    strict = chosen(asked, labels(engine="onnxruntime", gate={**wide, "near_tie": 1}), store)
    assert strict.verdict is not None  # what counted as agreement then need not now: it is judged again
    with pytest.raises(ParityError, match="at most 0 allowed"):
        chosen(asked, labels(engine="onnxruntime", gate={"kl": 0, "agreement": 0}), store)


def test_what_was_judged_before_near_ties_were_told_is_judged_anew(whole: TorchSource, tmp_path: Path) -> None:
    asked, recipe, store = question(whole), labels(engine="onnxruntime"), LabelStore(tmp_path)
    filled(asked, chosen(asked, recipe, store), store)
    assert chosen(asked, recipe, store).verdict is None
    (manifest,) = tmp_path.rglob("manifest.json")
    with changed(manifest) as told:
        for about in told["fills"].values():
            del about["gate"]["near_tie"]
    assert chosen(asked, recipe, store).verdict is not None


def test_a_resumed_run_takes_the_engine_that_it_began_with(whole: TorchSource, tmp_path: Path) -> None:
    source, store = Counted(whole), LabelStore(tmp_path)
    asked = question(source)
    filled(asked, chosen(asked, labels()), store)
    choice = chosen(asked, labels(), store, pinned=ONNX.name)
    assert (choice.engine, choice.why) == (ONNX, "as the run began")
    assert choice.verdict is not None  # nothing is known of it here, as on another machine
    with pytest.raises(ParityError, match="passes the gate"):
        chosen(asked, labels(gate={"kl": 0, "agreement": 1}), store, pinned=ONNX.name)
    filled(asked, choice, store)
    assert chosen(asked, labels(gate={"kl": 0, "agreement": 1}), store, pinned=ONNX.name).verdict is None
    with pytest.raises(RunError, match=r"by tensorrt-fp16, but this machine has only torch-fp32.*start a new run"):
        chosen(asked, labels(), store, pinned="tensorrt-fp16")


def test_an_engine_that_is_not_installed_is_named_with_what_installs_it(
    whole: TorchSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = question(whole)
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'sskt-edge\[openvino\]'"):
        chosen(asked, labels(engine="openvino"))
    assert "openvino" not in {engine.backend for engine in asked.source.engines()}
    with pytest.raises(RunError, match="doctor says how"):
        chosen(asked, labels(), pinned="openvino-fp32")


def test_a_precision_that_the_machine_has_not_is_refused(whole: TorchSource) -> None:
    with pytest.raises(NetworkError, match="'torch-fp16' does not run here: this cpu has no fp16"):
        chosen(question(whole), labels(precision="fp16"))


def test_an_engine_that_cannot_run_such_a_source_is_refused(whole: TorchSource) -> None:
    class FromOnnx(Counted):
        def engines(self) -> tuple[SourceEngine, ...]:
            return (ONNX,)

    with pytest.raises(RecipeError, match=r"labels\.engine = 'torch' .* Its engines are onnxruntime-fp32"):
        chosen(question(FromOnnx(whole)), labels(engine="torch"))


def test_a_sample_is_real_views_spread_over_all_in_full_batches(whole: TorchSource) -> None:
    for images, batches in ((MANY, GATE_VIEWS // 4), (image_set(7), 4)):
        asked = question(whole, wanted(images))
        sample = asked.sample()
        assert [batch.shape for batch in sample] == [(4, 8, 8, 3)] * batches
    different = {view.tobytes() for batch in sample for view in batch}
    assert len(different) == asked.views == 14
