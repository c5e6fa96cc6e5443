"""The store is filled with what it lacks, and with nothing else."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sskt_edge.common.errors import NetworkError, RecipeError, StorageError
from sskt_edge.common.progress import QUIET, Notes, Progress, Stoppable
from sskt_edge.inference.session import Session
from sskt_edge.sources.engine_selection import EngineChoice
from sskt_edge.sources.engines import ENGINES, SourceEngine
from sskt_edge.sources.fill import check_space, fill
from sskt_edge.sources.gate import GateVerdict
from sskt_edge.sources.label_query import LabelQuery
from sskt_edge.sources.query_source import query_source, view_batch
from sskt_edge.sources.store.collection import Collection
from sskt_edge.sources.store.label_format import kl_of_top_k, smallest_k
from sskt_edge.sources.store.store import LabelStore
from sskt_edge.sources.top_k import TOP_K_LIMIT
from tests.sources.queries import BATCH, COUNT, SIZE, Counted, image_set, label_query, small_source, view_schedule

TORCH = ENGINES["torch-fp32"]
CHOICE = EngineChoice(TORCH, "a test")


def collection_of(query: LabelQuery, store: Path) -> Collection:
    return query.collection(LabelStore(store), TORCH)


def filled(
    query: LabelQuery,
    store: Path,
    temperature: float = 1.0,
    choice: EngineChoice = CHOICE,
    progress: Progress = QUIET,
) -> int:
    return fill(query, choice, collection_of(query, store), "a test", temperature, progress)


def test_every_different_view_is_asked_once_and_nothing_twice(tmp_path: Path) -> None:
    source = Counted(small_source())
    query = label_query(source, view_schedule(views="fresh", passes=60))  # of 50 possible ones
    assert query.views < 60 * COUNT
    assert filled(query, tmp_path) == query.views == collection_of(query, tmp_path).rows
    assert len(source.batches) == -(-query.views // BATCH)
    assert filled(query, tmp_path) == 0
    assert len(source.batches) == -(-query.views // BATCH)


def test_labels_are_what_the_source_says(tmp_path: Path) -> None:
    source = small_source()
    query = label_query(source)
    filled(query, tmp_path)
    part = query.schedules[0]
    stored = collection_of(query, tmp_path).open(part.keys)
    assert stored
    for slots, logits in query_source(query.open(TORCH), query.source_view, part, np.arange(2 * COUNT)):
        np.testing.assert_array_equal(stored.read(slots), logits.astype(np.float16))


def test_a_further_image_costs_its_views_alone(tmp_path: Path) -> None:
    source = Counted(small_source())
    filled(label_query(source), tmp_path)
    source.batches.clear()
    assert filled(label_query(source, view_schedule(image_set(COUNT + 1))), tmp_path) == 2
    assert source.batches == [BATCH]


def test_unlabelled_images_are_asked_too(tmp_path: Path) -> None:
    source = Counted(small_source())
    further = view_schedule(image_set(5, first=COUNT), views=2, passes=1)
    query = label_query(source, view_schedule(), further)
    assert filled(query, tmp_path) == query.views == len(view_schedule().distinct) + 5
    collection = collection_of(query, tmp_path)
    assert all(collection.open(part.keys) for part in query.schedules)


def test_what_was_asked_before_an_interrupt_is_kept(tmp_path: Path) -> None:
    source = Counted(small_source())
    query = label_query(source)

    def stop_after_two() -> None:
        if len(source.batches) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        filled(query, tmp_path, progress=Stoppable(QUIET, stop_after_two))
    assert collection_of(query, tmp_path).rows == 2 * BATCH
    assert filled(query, tmp_path) == query.views - 2 * BATCH
    assert len(source.batches) == -(-query.views // BATCH)


def test_what_another_process_asks_is_waited_for_and_not_asked_again(tmp_path: Path) -> None:
    source, other = Counted(small_source()), small_source()
    query, heard = label_query(source), Notes()
    theirs = collection_of(query, tmp_path)
    lock = theirs.held()
    lock.__enter__()
    done: list[bool] = []

    def they_fill() -> None:
        if not done:
            session, part = other.open(TORCH, SIZE, BATCH), query.schedules[0]
            with theirs.writer({}) as writer:
                for slots, logits in query_source(session, query.source_view, part, part.distinct):
                    writer.add(part.keys[slots], logits)
            lock.__exit__(None, None, None)
            done.append(True)

    assert filled(query, tmp_path, progress=Stoppable(heard, they_fill)) == 0
    assert source.batches == []
    assert "which fills the same labels" in heard.lines[0]


def test_nobody_is_waited_for_if_nothing_is_missing(tmp_path: Path) -> None:
    query = label_query(small_source())
    filled(query, tmp_path)

    def no_waiting() -> None:
        raise AssertionError("it waits")

    with collection_of(query, tmp_path).held():
        assert filled(query, tmp_path, progress=Stoppable(QUIET, no_waiting)) == 0


def test_a_fill_notes_who_asked_what_and_how_good_the_engine_is(tmp_path: Path) -> None:
    query = label_query(small_source())
    verdict = GateVerdict(TORCH, "cpu", 123.0, 0.001, 0.95, 0.99, 0.8, True, "", 0.5)
    filled(query, tmp_path, choice=EngineChoice(TORCH, "a test", (verdict,), 123.0))
    (noted,) = collection_of(query, tmp_path).fills
    of_logits = {"judge": "logits", "labelled": "", "cosine": None}
    assert noted["gate"] == {"kl": 0.001, "same": 0.95, "agreement": 0.99, "near_tie": 0.8, **of_logits}
    assert (noted["source"], noted["images"], noted["images_per_second"]) == ("small", COUNT, 123.0)
    assert noted["views"] == query.schedules[0].plan.views_as_json()


def test_labels_that_do_not_fit_the_disk_together_are_refused(tmp_path: Path) -> None:
    store = tmp_path / "not" / "there"
    one, other = (collection_of(label_query(small_source(classes=classes)), store) for classes in (5, 7))
    half = shutil.disk_usage(tmp_path).free * 2 // 3
    check_space(store, [(one, half // one.row_bytes)])
    check_space(store, [(other, half // other.row_bytes)])
    with pytest.raises(StorageError, match=r"soft labels take .* GB, .* GB are free at .*labels\.top_k"):
        check_space(store, [(one, half // one.row_bytes), (other, half // other.row_bytes)])
    assert list(tmp_path.iterdir()) == []


def test_logits_that_are_not_finite_are_refused_and_not_kept(tmp_path: Path) -> None:
    source = small_source()
    source.network.get_parameter("6.bias").data.fill_(float("nan"))
    with pytest.raises(NetworkError, match="cannot be kept"):
        filled(label_query(source), tmp_path)
    assert collection_of(label_query(source), tmp_path).rows == 0


def telling() -> Counted:
    """A source of 20 classes, some of which it believes in more."""
    source = small_source(classes=20)
    source.network.get_parameter("6.bias").data.copy_(source.network.get_parameter("6.bias").data.sort()[0] * 15)
    return Counted(source)


def test_too_small_a_top_k_is_refused_with_the_smallest_that_passes(tmp_path: Path) -> None:
    source = telling()
    query = label_query(source)
    logits = np.concatenate([source.open(TORCH, SIZE, BATCH).run(batch) for batch in query.sample()])
    enough = smallest_k(logits, 1.0, TOP_K_LIMIT)
    assert 1 < enough < 20
    with pytest.raises(RecipeError, match=rf"labels\.top_k = 1 .*at T = 1 .*passes is {enough} of 20"):
        filled(replace(query, top_k=1), tmp_path)
    with pytest.raises(RecipeError, match=f"passes is {enough}"):
        filled(replace(query, top_k=enough - 1), tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert filled(replace(query, top_k=enough), tmp_path) == query.views
    assert collection_of(query, tmp_path).key != collection_of(replace(query, top_k=enough), tmp_path).key


def test_a_top_k_is_judged_again_at_another_temperature(tmp_path: Path) -> None:
    source = telling()
    query = label_query(source)
    logits = np.concatenate([source.open(TORCH, SIZE, BATCH).run(batch) for batch in query.sample()])
    enough = smallest_k(logits, 1.0, TOP_K_LIMIT)
    assert kl_of_top_k(logits, enough, 3.0) > TOP_K_LIMIT
    filled(replace(query, top_k=enough), tmp_path)
    assert filled(replace(query, top_k=enough), tmp_path) == 0
    with pytest.raises(RecipeError, match="at T = 3"):
        filled(replace(query, top_k=enough), tmp_path, temperature=3.0)


def test_what_a_top_k_loses_is_said_and_it_is_judged_once_a_temperature(tmp_path: Path) -> None:
    source, heard = telling(), Notes()
    query = label_query(source)
    filled(replace(query, top_k=19), tmp_path, progress=heard)
    source.batches.clear()
    assert filled(replace(query, top_k=19), tmp_path, temperature=0.9, progress=heard) == 0
    assert source.batches
    source.batches.clear()
    assert filled(replace(query, top_k=19), tmp_path, temperature=0.9, progress=heard) == 0
    assert source.batches == []
    first, second = heard.lines
    assert first.startswith("small: top_k = 19 loses a KL of 0.00")
    assert first.endswith("at T = 1")
    assert second.endswith("at T = 0.9")


class Cheap:
    """A source whose sessions cost nothing, note every batch in a file, and use no thread: a fork may run them."""

    def __init__(self, source: Counted, asked: Path) -> None:
        self._source, self._asked = source, asked
        self.name, self.classes, self.input_size = source.name, source.classes, source.input_size
        self.facts, self.identity, self.engines, self.remark = source.facts, source.identity, source.engines, ""
        self.outputs, self.license = source.outputs, source.license

    def open(
        self, engine: SourceEngine, size: int, batch: int, calibration: NDArray[np.uint8] | None = None
    ) -> Session:
        return _CheapSession(self._source.open(engine, size, batch), self.classes, self._asked)


class _CheapSession:
    def __init__(self, like: Session, classes: int, asked: Path) -> None:
        self._classes, self._asked = classes, asked
        self.backend, self.provider, self.precision = like.backend, like.provider, like.precision
        self.versions, self.max_batch = like.versions, like.max_batch

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        with self._asked.open("ab", buffering=0) as file:
            file.write(bytes(len(images)))
        return images.reshape(len(images), -1)[:, : self._classes].astype(np.float32)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_kill_costs_no_more_than_a_shard(tmp_path: Path) -> None:
    """The real fill, with shards of 16 labels; what a kill costs is what was asked and is not stored."""
    query, shard = label_query(Cheap(Counted(small_source()), tmp_path / "asked"), view_schedule(image_set(400))), 16
    moments, kills, number = random.Random(0), 0, 0

    def small_shards(store: Path) -> Collection:
        collection = collection_of(query, store)
        collection.writer = partial(collection.writer, rows=shard)  # type: ignore[method-assign]
        return collection

    def work(store: Path) -> None:
        fill(query, CHOICE, small_shards(store), "a test", 1.0, QUIET)

    while kills < 30:
        store, number = tmp_path / str(number), number + 1
        rows = 0
        while rows < query.views:
            (tmp_path / "asked").write_bytes(b"")
            process = multiprocessing.get_context("fork").Process(target=work, args=(store,))
            process.start()
            process.join(moments.uniform(0, 0.1))
            process.kill()
            process.join()
            collection, before = collection_of(query, store), rows
            assert collection.verify() == []
            rows = collection.rows
            assert rows <= before + (tmp_path / "asked").stat().st_size <= rows + shard
            kills += process.exitcode == -signal.SIGKILL
        part = query.schedules[0]
        stored = collection_of(query, store).open(part.keys)
        assert stored
        said = view_batch(query.source_view, part, part.distinct).reshape(len(part.distinct), -1)[
            :, : query.source.classes
        ]
        np.testing.assert_array_equal(stored.read(part.distinct), said.astype(np.float32))
