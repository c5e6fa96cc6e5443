"""The store is filled with what it lacks, and with nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sskt_edge.errors import NetworkError, RecipeError, StorageError
from sskt_edge.runtime.progress import QUIET
from sskt_edge.sources.ask import ask
from sskt_edge.sources.choice import Choice
from sskt_edge.sources.engines import ENGINES
from sskt_edge.sources.fill import check_space, fill
from sskt_edge.sources.gate import Verdict
from sskt_edge.sources.question import Question
from sskt_edge.sources.store.collection import Collection
from sskt_edge.sources.store.form import kl_of_top_k, smallest_k
from sskt_edge.sources.store.store import LabelStore
from sskt_edge.sources.top_k import TOP_K_LIMIT
from tests.sources.questions import BATCH, COUNT, SIDE, Counted, image_set, question, small_source, wanted
from tests.sources.store.small import Heard

TORCH = ENGINES["torch-fp32"]
CHOICE = Choice(TORCH, "a test")


def collection_of(asked: Question, store: Path, top_k: int = 0) -> Collection:
    return asked.collection(LabelStore(store), TORCH, top_k)


def filled(asked: Question, store: Path, top_k: int = 0, temperature: float = 1.0, **rest: Any) -> int:
    collection = collection_of(asked, store, top_k)
    between = rest.get("between", lambda: None)
    return fill(asked, rest.get("choice", CHOICE), collection, {}, temperature, rest.get("progress", QUIET), between)


def test_every_different_view_is_asked_once_and_nothing_twice(tmp_path: Path) -> None:
    source = Counted(small_source())
    asked = question(source, wanted(views="fresh", turns=60))  # of 50 possible ones
    assert asked.views < 60 * COUNT
    assert filled(asked, tmp_path) == asked.views == collection_of(asked, tmp_path).rows
    assert len(source.batches) == -(-asked.views // BATCH)
    assert filled(asked, tmp_path) == 0
    assert len(source.batches) == -(-asked.views // BATCH)


def test_labels_are_what_the_source_says(tmp_path: Path) -> None:
    source = small_source()
    asked = question(source)
    filled(asked, tmp_path)
    part = asked.wanted[0]
    stored = collection_of(asked, tmp_path).open(part.keys)
    assert stored
    for places, logits in ask(source.open(TORCH, SIDE, BATCH), SIDE, part, np.arange(2 * COUNT), lambda: None):
        np.testing.assert_array_equal(stored.read(places), logits.astype(np.float16))


def test_a_further_image_costs_its_views_alone(tmp_path: Path) -> None:
    source = Counted(small_source())
    filled(question(source), tmp_path)
    source.batches.clear()
    assert filled(question(source, wanted(image_set(COUNT + 1))), tmp_path) == 2
    assert source.batches == [BATCH]


def test_unlabelled_images_are_asked_too(tmp_path: Path) -> None:
    source = Counted(small_source())
    further = wanted(image_set(5, first=COUNT), views=2, turns=1)
    asked = question(source, wanted(), further)
    assert filled(asked, tmp_path) == asked.views == len(wanted().distinct) + 5
    collection = collection_of(asked, tmp_path)
    assert all(collection.open(part.keys) for part in asked.wanted)


def test_what_was_asked_before_an_interrupt_is_kept(tmp_path: Path) -> None:
    source = Counted(small_source())
    asked = question(source)

    def stop_after_two() -> None:
        if len(source.batches) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        filled(asked, tmp_path, between=stop_after_two)
    assert collection_of(asked, tmp_path).rows == 2 * BATCH
    assert filled(asked, tmp_path) == asked.views - 2 * BATCH
    assert len(source.batches) == -(-asked.views // BATCH)


def test_what_another_process_asks_meanwhile_is_waited_for_and_not_asked_again(tmp_path: Path) -> None:
    source, other = Counted(small_source()), small_source()
    asked, heard = question(source), Heard()
    theirs = collection_of(asked, tmp_path)
    lock = theirs.held()
    lock.__enter__()
    done: list[bool] = []

    def they_fill() -> None:
        if not done:
            session, part = other.open(TORCH, SIDE, BATCH), asked.wanted[0]
            with theirs.writer({}) as writer:
                for places, logits in ask(session, SIDE, part, part.distinct, lambda: None):
                    writer.add(part.keys[places], logits)
            lock.__exit__(None, None, None)
            done.append(True)

    assert filled(asked, tmp_path, between=they_fill, progress=heard) == 0
    assert source.batches == []
    assert "which fills the same labels" in heard.lines[0]


def test_nobody_is_waited_for_if_nothing_is_missing(tmp_path: Path) -> None:
    asked = question(small_source())
    filled(asked, tmp_path)

    def no_waiting() -> None:
        raise AssertionError("it waits")

    with collection_of(asked, tmp_path).held():
        assert filled(asked, tmp_path, between=no_waiting) == 0


def test_a_fill_notes_who_asked_what_and_how_good_the_engine_is(tmp_path: Path) -> None:
    asked = question(small_source())
    verdict = Verdict(TORCH, "cpu", 123.0, 0.001, 0.99, True, "", 0.5)
    filled(asked, tmp_path, choice=Choice(TORCH, "a test", (verdict,)))
    (noted,) = collection_of(asked, tmp_path).fills
    assert noted["gate"] == {"kl": 0.001, "agreement": 0.99}
    assert (noted["source"], noted["images"], noted["images_per_second"]) == ("small", COUNT, 123.0)
    assert noted["views"] == asked.wanted[0].plan.views_as_json()


def test_labels_that_do_not_fit_the_disk_are_refused_before_any_is_asked(tmp_path: Path) -> None:
    collection = collection_of(question(small_source()), tmp_path / "not" / "there")
    check_space(collection, 1000)
    with pytest.raises(StorageError, match=r"1,000,000,000,000 soft labels take 26000\.0 GB, .*labels\.top_k"):
        check_space(collection, 10**12)
    assert list(tmp_path.iterdir()) == []


def test_logits_that_are_no_numbers_are_refused_and_nothing_of_them_is_kept(tmp_path: Path) -> None:
    source = small_source()
    source.network.get_parameter("6.bias").data.fill_(float("nan"))
    with pytest.raises(NetworkError, match="cannot be kept"):
        filled(question(source), tmp_path)
    assert collection_of(question(source), tmp_path).rows == 0


def telling() -> Counted:
    """A source of 20 classes, some of which it believes in more."""
    source = small_source(classes=20)
    source.network.get_parameter("6.bias").data.copy_(source.network.get_parameter("6.bias").data.sort()[0] * 15)
    return Counted(source)


def test_too_small_a_top_k_is_refused_with_the_smallest_that_passes(tmp_path: Path) -> None:
    source = telling()
    asked = question(source)
    logits = np.concatenate([source.open(TORCH, SIDE, BATCH).run(batch) for batch in asked.sample()])
    enough = smallest_k(logits, 1.0, TOP_K_LIMIT)
    assert 1 < enough < 20
    with pytest.raises(RecipeError, match=rf"labels\.top_k = 1: .*at T = 1 .*smallest that passes is {enough} of 20"):
        filled(asked, tmp_path, top_k=1)
    with pytest.raises(RecipeError, match=f"smallest that passes is {enough}"):
        filled(asked, tmp_path, top_k=enough - 1)
    assert filled(asked, tmp_path, top_k=enough) == asked.views
    assert collection_of(asked, tmp_path).key != collection_of(asked, tmp_path, enough).key


def test_a_top_k_is_judged_anew_at_another_temperature_though_nothing_is_missing(tmp_path: Path) -> None:
    source = telling()
    asked = question(source)
    logits = np.concatenate([source.open(TORCH, SIDE, BATCH).run(batch) for batch in asked.sample()])
    enough = smallest_k(logits, 1.0, TOP_K_LIMIT)
    assert kl_of_top_k(logits, enough, 3.0) > TOP_K_LIMIT
    filled(asked, tmp_path, top_k=enough)
    assert filled(asked, tmp_path, top_k=enough) == 0
    with pytest.raises(RecipeError, match="at T = 3"):
        filled(asked, tmp_path, top_k=enough, temperature=3.0)
