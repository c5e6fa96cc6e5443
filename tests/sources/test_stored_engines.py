"""Which stored labels serve whom: what was near enough for a probe need not be for a training on the logits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sskt_edge.recipe.gate import GateOptions
from sskt_edge.sources.engine_rules import EngineRules
from sskt_edge.sources.engine_selection import EngineChoice
from sskt_edge.sources.engines import ENGINES
from sskt_edge.sources.fill import record_of
from sskt_edge.sources.fill_record import JudgedBy
from sskt_edge.sources.gate import GateVerdict
from sskt_edge.sources.label_query import LabelQuery, gate_slots
from sskt_edge.sources.probe.judge import ProbeJudge
from sskt_edge.sources.source import TorchSource
from sskt_edge.sources.store.store import LabelStore
from sskt_edge.sources.stored_engines import StoredEngines
from sskt_edge.tasks.single_label import SINGLE_LABEL
from tests.sources.queries import image_set, label_query, small_source, view_schedule

TORCH, ONNX = ENGINES["torch-fp32"], ENGINES["onnxruntime-fp32"]
SSKT = EngineRules()


@pytest.fixture(scope="module")
def source() -> TorchSource:
    return small_source()


def probe_rules(query: LabelQuery, first: int = 0) -> EngineRules:
    """The rules of a probe on the query's images, of which every second is of the class `first`."""
    schedule = query.schedules[0]
    schedule.images.labels[:] = (np.arange(len(schedule.images)) + first) % 2
    rows = schedule.rows(gate_slots(schedule))
    return EngineRules(judge=ProbeJudge(SINGLE_LABEL, schedule.images, "ab", rows, GateOptions()))


def filled(query: LabelQuery, by: JudgedBy, store: LabelStore, near_tie: float = 1.0) -> None:
    """As if the gate had let ONNX Runtime pass with this kind of finding."""
    verdict = GateVerdict(ONNX, "cpu", 50.0, 0.002, 0.995, 0.995, near_tie, True, "", 0.0, *by)
    collection, schedule = query.collection(store, ONNX), query.schedules[0]
    keys = schedule.keys[schedule.distinct]
    record = record_of(query, EngineChoice(ONNX, "a test", (verdict,), 50.0), "a test", 1.0).model_dump()
    with collection.held(), collection.writer(record) as writer:
        writer.add(keys, np.zeros((len(keys), query.source.classes), dtype=np.float32))


def served(query: LabelQuery, rules: EngineRules, store: LabelStore) -> bool:
    return StoredEngines(query, rules, store).best([TORCH, ONNX]) is not None


def test_labels_that_only_a_probe_let_pass_serve_that_probe_alone(source: TorchSource, tmp_path: Path) -> None:
    query, store = label_query(source), LabelStore(tmp_path)
    probe = probe_rules(query)
    filled(query, probe.judge.by, store, near_tie=0.0)
    assert served(query, probe, store)
    assert not served(query, SSKT, store)
    assert not served(query, EngineRules(precision="fp32"), store)
    assert not served(query, probe_rules(query, first=1), store)  # the same images with other labels


def test_labels_that_passed_as_logits_serve_a_probe(source: TorchSource, tmp_path: Path) -> None:
    query, store = label_query(source), LabelStore(tmp_path)
    filled(query, SSKT.judge.by, store)
    assert served(query, SSKT, store) and served(query, probe_rules(query), store)


def test_labels_that_passed_both_serve_all(source: TorchSource, tmp_path: Path) -> None:
    query, store = label_query(source), LabelStore(tmp_path)
    probe = probe_rules(query)
    filled(query, probe.judge.by, store, near_tie=0.0)
    more = label_query(source, view_schedule(views=3))
    filled(more, SSKT.judge.by, store)
    assert served(query, SSKT, store) and served(query, probe, store)


def test_logits_judged_on_a_few_images_do_not_vouch_for_those_of_a_probe(source: TorchSource, tmp_path: Path) -> None:
    few, store = label_query(source, view_schedule(image_set(2))), LabelStore(tmp_path)
    filled(few, SSKT.judge.by, store)
    query = label_query(source, view_schedule(image_set(10)))
    assert served(query, SSKT, store)  # a fifth of the images is known
    probe = probe_rules(query)
    filled(query, probe.judge.by, store, near_tie=0.0)
    assert not served(query, SSKT, store)
    assert served(query, probe, store)


def test_labels_of_a_probe_that_cannot_run_any_more_do_not_serve_logits(
    source: TorchSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query, store = label_query(source), LabelStore(tmp_path)
    probe = probe_rules(query)
    filled(query, probe.judge.by, store, near_tie=0.0)
    monkeypatch.setattr("sskt_edge.inference.backends.onnxruntime.backend.providers", lambda: ())
    absent = StoredEngines(query, probe, store).absent()
    assert absent is not None and absent.engine == ONNX
    assert StoredEngines(query, SSKT, store).absent() is None


def test_an_older_version_refuses_what_a_probe_let_pass(source: TorchSource, tmp_path: Path) -> None:
    """It does not know of judges, and reads the limits of logits in the record: a near tie of 0 passes none."""
    query, store = label_query(source), LabelStore(tmp_path)
    probe = probe_rules(query)
    filled(query, probe.judge.by, store, near_tie=probe.judge.near_tie)
    ((fill_of,),) = [list(query.collection(store, ONNX).fills)]
    assert fill_of["gate"]["near_tie"] < GateOptions(near_tie=1e-9).near_tie
