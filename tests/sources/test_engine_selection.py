"""Which engine is taken: the store's, else the fastest that passes; never one that the recipe or the gate refuses."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sskt_edge.common.errors import MissingExtraError, NetworkError, ParityError, RecipeError, RunError
from sskt_edge.common.progress import QUIET, Notes, Quiet
from sskt_edge.sources.engine_rules import EngineRules
from sskt_edge.sources.engine_selection import EngineChoice, EngineSelector, trials_suffice
from sskt_edge.sources.engines import ENGINES, SourceEngine
from sskt_edge.sources.fill import fill, record_of
from sskt_edge.sources.gate import GateVerdict
from sskt_edge.sources.label_query import GATE_VIEWS, LabelQuery
from sskt_edge.sources.source import TorchSource
from sskt_edge.sources.store.store import LabelStore
from tests.sealed import changed
from tests.sources.queries import BATCH, Counted, Spoil, image_set, label_query, rules, small_source, view_schedule

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
    query: LabelQuery, given: EngineRules | None = None, store: LabelStore | None = None, pinned: str | None = None
) -> EngineChoice:
    return EngineSelector(query, given or rules(), store, QUIET).choose(pinned)


def filled(query: LabelQuery, choice: EngineChoice, store: LabelStore) -> None:
    fill(query, choice, query.collection(store, choice.engine), "a test", 1.0, QUIET)


def test_few_views_are_asked_of_the_reference_and_nothing_is_tried(whole: TorchSource) -> None:
    source = Counted(whole)
    choice = chosen(label_query(source), rules())
    assert (choice.engine, choice.why) == (TORCH, "too few views for trials of others")
    assert source.batches == []


def test_the_reference_is_not_tried_if_the_recipe_allows_no_other(whole: TorchSource) -> None:
    source = Counted(whole)
    choice = chosen(label_query(source, view_schedule(MANY)), rules(backend="torch", precision="fp32"))
    assert (choice.engine, choice.why) == (TORCH, "as the recipe says")
    assert source.batches == []


@pytest.mark.slow
def test_an_engine_without_a_trial_is_timed_before_much_is_asked(whole: TorchSource, tmp_path: Path) -> None:
    source, store = Counted(whole), LabelStore(tmp_path)
    alone = rules(backend="torch", precision="fp32")
    little = chosen(label_query(source, view_schedule(image_set(BATCH))), alone, store)
    assert (little.images_per_second, source.batches) == (None, [])
    query = label_query(source, view_schedule(MANY))
    much = chosen(query, alone, store)
    assert source.batches == [BATCH, BATCH]
    assert much.images_per_second is not None
    assert much.verdict is None
    filled(query, much, store)
    source.batches.clear()
    assert chosen(label_query(source, view_schedule(image_set(1200))), alone, store).images_per_second is None
    assert source.batches == []


@pytest.mark.slow
def test_the_fastest_engine_that_passes_is_taken(whole: TorchSource) -> None:
    spoil: dict[SourceEngine, Spoil] = {engine: slow for engine in whole.engines() if engine != ONNX}
    choice = chosen(label_query(Counted(whole, spoil), view_schedule(MANY, views=100, passes=100)), rules())
    assert choice.engine == ONNX
    assert choice.verdict is not None
    assert choice.verdict.passed
    assert "× torch-fp32" in choice.why


def verdict_on(engine: SourceEngine, speed: float, seconds: float, passed: bool = True) -> GateVerdict:
    """A verdict whose trial took this many seconds in all."""
    return GateVerdict(engine, "cpu", speed, 0, 1, 1, 0, passed, "", seconds - GATE_VIEWS / speed)


def test_trials_end_when_the_labels_take_no_longer_than_they_did() -> None:
    known, both = [verdict_on(TORCH, 100, seconds=4), verdict_on(ONNX, 400, seconds=6, passed=False)], (TORCH, ONNX)
    assert trials_suffice(known, both, views=1000)
    assert not trials_suffice(known, both, views=1001)
    assert not trials_suffice(known, (ONNX,), views=1)
    assert trials_suffice([*known, verdict_on(ONNX, 200, seconds=10)], both, views=4000)


def test_the_engines_that_were_not_tried_are_named(whole: TorchSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sskt_edge.sources.engine_selection.trials_suffice", lambda known, *_: len(known) == 2)
    notes = Notes()
    choice = EngineSelector(label_query(whole, view_schedule(MANY)), rules(), None, notes).choose()
    left = set(whole.engines()) - {verdict.engine for verdict in choice.verdicts}
    (_, line) = notes.lines
    assert left and len(choice.verdicts) == 2
    assert "not tried" in line and all(engine.name in line for engine in left)


def test_a_trial_is_announced_before_a_view_is_asked(whole: TorchSource) -> None:
    source, said = Counted(whole), list[str]()

    class Heard(Quiet):
        def say(self, line: str) -> None:
            assert source.batches == []
            said.append(line)

    query = label_query(source, view_schedule(MANY))
    EngineSelector(query, rules(backend="onnxruntime"), None, Heard()).choose()
    assert said == [
        f"small: up to {query.views:,} views to query; onnxruntime-fp32 is tried on {GATE_VIEWS} of them first"
    ]


@pytest.mark.slow
def test_a_fast_engine_that_answers_otherwise_is_not_taken(whole: TorchSource) -> None:
    wrong: dict[SourceEngine, Spoil] = {engine: reversed_classes for engine in whole.engines() if engine != TORCH}
    choice = chosen(label_query(Counted(whole, wrong | {TORCH: slow}), view_schedule(MANY)), rules())
    assert choice.engine == TORCH


def test_a_named_engine_that_the_gate_refuses_is_an_error(whole: TorchSource) -> None:
    query = label_query(Counted(whole, {ONNX: reversed_classes}))
    with pytest.raises(
        ParityError,
        match=r"KL at most 0\.004, agreement at least 97\.0%\)\. onnxruntime-fp32: KL .* nats, .*at most 0\.004 "
        r".*% agree, .*at least 97\.0% .*Set labels\.engine",
    ):
        chosen(query, rules(backend="onnxruntime"))


@pytest.mark.slow
def test_an_engine_with_stored_labels_is_kept_though_another_is_faster(whole: TorchSource, tmp_path: Path) -> None:
    source, store = Counted(whole, {TORCH: slow}), LabelStore(tmp_path)
    query, given = label_query(source, view_schedule(MANY)), rules()
    measured = chosen(query, given)
    assert measured.engine != TORCH
    few = label_query(source, view_schedule(image_set(50)))
    filled(few, EngineChoice(TORCH, "a test", measured.verdicts, 50.0), store)
    source.batches.clear()
    for part, why in ((query, "the store has part of its labels"), (few, "the store has its labels")):
        choice = chosen(part, given, store)
        assert (choice.engine, choice.why) == (TORCH, why)
    assert source.batches == []


def test_what_the_gate_said_on_other_images_does_not_count(whole: TorchSource, tmp_path: Path) -> None:
    source, store = Counted(whole), LabelStore(tmp_path)
    measured = chosen(label_query(source, view_schedule(MANY)), rules(backend="onnxruntime"))
    few = label_query(source, view_schedule(image_set(50)))
    filled(few, measured, store)
    kept = chosen(label_query(source, view_schedule(image_set(100))), rules(backend="onnxruntime"), store)
    assert kept.why == "the store has part of its labels"
    again = chosen(label_query(source, view_schedule(MANY)), rules(backend="onnxruntime"), store)
    assert again.verdict is not None
    assert again.why.startswith("the fastest that passes the gate")


def judged(engine: SourceEngine) -> EngineChoice:
    """As if a trial had found that the engine passes; a real one would take a second here."""
    return EngineChoice(engine, "a test", (GateVerdict(engine, "cpu", 50.0, 0.0, 1.0, 1.0, 1.0, True, "", 0.0),), 50.0)


def test_more_views_of_the_same_images_are_asked_of_the_same_engine(whole: TorchSource, tmp_path: Path) -> None:
    source, store = Counted(whole, {ONNX: slow}), LabelStore(tmp_path)
    one_view = label_query(source, view_schedule(image_set(60), views=1, passes=60))
    filled(one_view, judged(ONNX), store)
    source.batches.clear()
    # The store has a sixtieth of it; any other engine would be measured as faster.
    choice = chosen(label_query(source, view_schedule(image_set(60), views=60, passes=60)), rules(), store)
    assert (choice.engine, choice.why) == (ONNX, "the store has part of its labels")
    assert source.batches == []


def test_a_filling_that_was_stopped_early_binds_to_its_judged_engine(whole: TorchSource, tmp_path: Path) -> None:
    source, store = Counted(whole, {ONNX: slow}), LabelStore(tmp_path)
    query = label_query(source, view_schedule(MANY))
    collection = query.collection(store, ONNX)
    record = record_of(query, judged(ONNX), "a test", 1.0).model_dump()
    keys = query.schedules[0].keys[query.schedules[0].distinct[:BATCH]]
    with collection.held(), collection.writer(record) as writer:
        writer.add(keys, np.zeros((BATCH, source.classes), dtype=np.float32))
    assert chosen(query, rules(), store).engine == ONNX
    assert source.batches == []


def test_an_engine_with_a_part_is_not_left_for_one_a_little_faster(whole: TorchSource, tmp_path: Path) -> None:
    query, store = label_query(whole, view_schedule(MANY)), LabelStore(tmp_path)
    few = label_query(whole, view_schedule(image_set(50)))
    filled(few, judged(ONNX), store)

    def measured(onnx: float, torch: float) -> SourceEngine:
        speeds = {TORCH: torch, ONNX: onnx}
        verdicts = [GateVerdict(it, "cpu", speed, 0.0, 1.0, 1.0, 0.8, True, "", 0.0) for it, speed in speeds.items()]
        return EngineSelector(query, rules(), store, QUIET).fastest(verdicts, list(speeds)).engine

    assert measured(onnx=100.0, torch=115.0) == ONNX
    assert measured(onnx=100.0, torch=200.0) == TORCH


def test_all_labels_of_an_engine_that_is_not_installed_any_more_are_taken(
    whole: TorchSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    source, store = Counted(whole), LabelStore(tmp_path)
    query, gone = label_query(source), ENGINES["openvino-fp32"]
    filled(query, chosen(query, rules(backend="openvino", precision="fp32")), store)
    path = query.collection(store, gone).path
    source.batches.clear()
    monkeypatch.setitem(sys.modules, "openvino", None)

    for pinned in (None, gone.name):
        choice = chosen(query, rules(), store, pinned)
        assert choice.engine == gone
        assert choice.stored is not None and choice.stored.path == path
        assert fill(query, choice, choice.stored, "a test", 1.0, QUIET) == 0
    assert source.batches == []
    more = label_query(source, view_schedule(image_set(12)))  # it would have to ask
    assert chosen(more, rules(), store).engine == TORCH
    monkeypatch.setattr("platform.machine", lambda: "another")
    assert chosen(query, rules(), store).engine == TORCH


def test_a_first_try_on_few_images_does_not_bind_to_the_reference(whole: TorchSource, tmp_path: Path) -> None:
    source, store = Counted(whole, {TORCH: slow}), LabelStore(tmp_path)
    few = label_query(source, view_schedule(image_set(50)))
    filled(few, chosen(few, rules(), store), store)
    assert chosen(few, rules(), store).why == "the store has its labels"
    assert (
        chosen(label_query(source, view_schedule(image_set(60))), rules(), store).why
        == "the store has part of its labels"
    )
    many = chosen(label_query(source, view_schedule(MANY)), rules(), store)
    assert many.engine != TORCH


def test_an_engine_in_the_store_is_held_against_the_limits_of_now(whole: TorchSource, tmp_path: Path) -> None:
    source, store = Counted(whole, {ONNX: lambda logits: logits * 1.01}), LabelStore(tmp_path)
    query, given = label_query(source), rules(backend="onnxruntime", kl=1, agreement=0, near_tie=0.8)
    filled(query, chosen(query, given, store), store)
    assert chosen(query, given, store).why == "the store has its labels"
    strict = chosen(query, rules(backend="onnxruntime", kl=1, agreement=0, near_tie=1), store)
    assert strict.verdict is not None  # what counted as agreement then need not now: it is judged again
    with pytest.raises(ParityError, match="at most 0 is allowed"):
        chosen(query, rules(backend="onnxruntime", kl=0, agreement=0), store)


def test_what_was_judged_before_near_ties_were_recorded_is_judged_again(whole: TorchSource, tmp_path: Path) -> None:
    query, given, store = label_query(whole), rules(backend="onnxruntime"), LabelStore(tmp_path)
    filled(query, chosen(query, given, store), store)
    assert chosen(query, given, store).verdict is None
    (manifest,) = tmp_path.rglob("manifest.json")
    with changed(manifest) as raw:
        for about in raw["fills"].values():
            del about["gate"]["near_tie"]
    assert chosen(query, given, store).verdict is not None


def test_a_resumed_run_takes_the_engine_that_it_began_with(whole: TorchSource, tmp_path: Path) -> None:
    source, store = Counted(whole), LabelStore(tmp_path)
    query = label_query(source)
    filled(query, chosen(query, rules()), store)
    choice = chosen(query, rules(), store, pinned=ONNX.name)
    assert (choice.engine, choice.why) == (ONNX, "as the run began")
    assert choice.verdict is not None  # nothing is known of it here, as on another machine
    with pytest.raises(ParityError, match="passes the gate"):
        chosen(query, rules(kl=0, agreement=1), store, pinned=ONNX.name)
    filled(query, choice, store)
    assert chosen(query, rules(kl=0, agreement=1), store, pinned=ONNX.name).verdict is None
    with pytest.raises(RunError, match=r"tensorrt-fp16 .*this machine has only torch-fp32.*start a new run"):
        chosen(query, rules(), store, pinned="tensorrt-fp16")


def test_an_engine_that_is_not_installed_is_named_with_what_installs_it(
    whole: TorchSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = label_query(whole)
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'sskt-edge\[openvino\]'"):
        chosen(query, rules(backend="openvino"))
    assert "openvino" not in {engine.backend for engine in query.source.engines()}
    with pytest.raises(RunError, match="doctor says how"):
        chosen(query, rules(), pinned="openvino-fp32")


def test_a_precision_that_the_machine_has_not_is_refused(whole: TorchSource) -> None:
    with pytest.raises(NetworkError, match="'torch-fp16' does not run here: no fp16"):
        chosen(label_query(whole), rules(precision="fp16"))


def test_an_engine_that_cannot_run_such_a_source_is_refused(whole: TorchSource) -> None:
    class FromOnnx(Counted):
        def engines(self) -> tuple[SourceEngine, ...]:
            return (ONNX,)

    with pytest.raises(RecipeError, match=r"labels\.engine = 'torch' .* Its engines are onnxruntime-fp32"):
        chosen(label_query(FromOnnx(whole)), rules(backend="torch"))


def test_a_sample_is_real_views_spread_over_all_in_full_batches(whole: TorchSource) -> None:
    for images, batches in ((MANY, GATE_VIEWS // 4), (image_set(7), 4)):
        query = label_query(whole, view_schedule(images))
        sample = query.sample()
        assert [batch.shape for batch in sample] == [(4, 8, 8, 3)] * batches
    different = {view.tobytes() for batch in sample for view in batch}
    assert len(different) == query.views == 14
