"""A training on stored labels is the training on labels queried again, to the bit; and nothing is asked twice."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sskt_edge.common.errors import Interrupted, ParityError, RecipeError, StorageError
from sskt_edge.common.progress import Bar, Notes
from sskt_edge.sources.store.store import LabelStore
from sskt_edge.targets.run_folder import TrainedNetwork
from sskt_edge.targets.run_layout import RunFolder
from sskt_edge.training.environment import read_environment
from sskt_edge.training.fill_store import fill_store
from sskt_edge.training.plan import plan_labels
from sskt_edge.training.train import train
from tests.data.small import picture
from tests.training.labelled import Asked, Images
from tests.training.small import stop_within_epoch

ONLINE = "labels.store=false"
TIMED = 2  # batches, to say how long a fill takes
REST = ("data.per_class=4", "data.unlabelled=rest", "data.unlabelled_ratio=0.7")


@pytest.fixture
def images(tiny_teacher: TrainedNetwork, tmp_path: Path) -> Images:
    return Images(tmp_path, tiny_teacher)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(monkeypatch)


def rows(images: Images) -> int:
    return sum(one.rows for one in LabelStore(images.store).collections())


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("labels.views=fresh",),
        ("train.batch_size=5",),
        ("train.batch_size=16",),
        ("sources.0.view=upsampled", "sources.0.batchnorm=recalibrated"),
        ("labels.top_k=9",),
        REST,
        (*REST, "labels.views=fresh", "data.unlabelled_ratio=2.5"),
    ],
    ids=" ".join,
)
def test_stored_labels_give_the_weights_of_labels_asked_again(overrides: tuple[str, ...], images: Images) -> None:
    online = images.weights(*overrides, ONLINE)
    assert not images.store.exists()
    assert images.weights(*overrides) == online  # fills
    assert images.weights(*overrides) == online  # reads


def test_two_sources_stored_give_the_weights_of_two_asked_again(
    images: Images, tiny_teacher: TrainedNetwork, tiny_run: TrainedNetwork
) -> None:
    paths = [run.folder.path for run in (tiny_teacher, tiny_run)]
    both = ", ".join(f"{{name='s{number}', model='run/{path}'}}" for number, path in enumerate(paths))
    stored = images.weights(f"sources=[{both}]")
    assert len(LabelStore(images.store).collections()) == 2
    assert stored == images.weights(f"sources=[{both}]", ONLINE)


@pytest.mark.slow
def test_the_threads_of_a_training_change_nothing_of_what_it_reads(images: Images) -> None:
    """Other threads sum in another order: what torch said with one thread is not taken for what it says with two."""
    few = ("train.epochs=1", "data.per_class=2")  # more threads than idle processors are slow
    fill_store(images.recipe(*few))
    before, threads = rows(images), torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert images.weights(*few) == images.weights(*few, ONLINE)
    finally:
        torch.set_num_threads(threads)
    assert rows(images) == 2 * before


@pytest.mark.slow
def test_another_training_seed_asks_nothing(images: Images, asked: Asked) -> None:
    images.weights()
    first = asked.batches
    assert first > 0
    online = images.weights("train.seed=7", ONLINE)
    asked.batches = 0
    assert images.weights("train.seed=7") == online
    assert asked.batches == 0


@pytest.mark.slow
def test_a_store_of_another_run_serves_more_epochs_views_and_images(images: Images, asked: Asked) -> None:
    more = ("train.epochs=4", "labels.views=3", "train.seed=3")
    online = images.weights(*more, ONLINE)
    images.weights("data.per_class=5")
    before, asked.batches = rows(images), 0
    assert images.weights(*more) == online
    assert asked.batches == -(-(rows(images) - before) // 4)


def test_a_further_image_costs_its_views_alone_and_is_named(images: Images, asked: Asked) -> None:
    fill_store(images.recipe())
    before, asked.batches, heard = rows(images), 0, Notes()
    Image.fromarray(picture(500)).save(images.root / "train" / "b" / "new.png")
    filled = fill_store(images.recipe(), heard)["teacher"]
    assert filled["asked"] == rows(images) - before == filled["views"] - before
    assert 1 <= filled["asked"] <= 2
    assert asked.batches == 1
    assert heard.lines[0] == "teacher: no labels yet of 1 of 17 images: train/b/new.png"


def test_a_changed_image_costs_its_views_alone_and_is_named(images: Images) -> None:
    fill_store(images.recipe())
    Image.fromarray(picture(500)).save(images.root / "train" / "a" / "003.png")
    heard = Notes()
    assert 1 <= fill_store(images.recipe(), heard)["teacher"]["asked"] <= 2
    assert heard.lines[0] == "teacher: no labels yet of 1 of 16 images: train/a/003.png"


def test_other_views_cost_only_those_that_are_new(images: Images) -> None:
    fill_store(images.recipe("data.augment.horizontal_flip=false"))
    heard = Notes()
    filled = fill_store(images.recipe(), heard)["teacher"]
    assert 0 < filled["asked"] < filled["views"]
    assert "teacher: other views than before: flip False then, True now" in heard.lines


@pytest.mark.slow
def test_a_changed_source_is_named_and_asked_again(images: Images, tiny_run: TrainedNetwork) -> None:
    fill_store(images.recipe())
    source = "other weights or another input of the source"
    for change, made_with, difference in (
        (f"sources.0.model=run/{tiny_run.folder.path}", source, "source.weights: "),
        ("sources.0.mean=[0.5,0.5,0.5]", source, "source.mean: "),
        ("labels.batch_size=8", "another batch size", "batch: 4 then, 8 now"),
    ):
        heard = Notes()
        filled = fill_store(images.recipe(change), heard)["teacher"]
        assert filled["asked"] == filled["views"]
        assert f"were made with {made_with} ({difference}" in heard.lines[0]


def test_fresh_views_that_repeat_are_asked_once(images: Images, asked: Asked) -> None:
    """Padding 1 and a flip make 3 · 3 · 2 views of an image."""
    overrides = ("labels.views=fresh", "train.epochs=200", "labels.batch_size=32")
    assert fill_store(images.recipe(*overrides))["teacher"]["asked"] == rows(images) == 16 * 18
    assert asked.batches == TIMED + 16 * 18 // 32


@pytest.mark.slow
def test_a_fill_that_is_interrupted_keeps_its_labels_and_goes_on(images: Images, asked: Asked) -> None:
    asked.interrupt_at = TIMED + 3
    with pytest.raises(
        Interrupted, match=r"^Stopped; the labels so far are kept\. Run the same command to continue\.$"
    ):
        fill_store(images.recipe())
    assert rows(images) == 12
    views = fill_store(images.recipe())["teacher"]["views"]
    assert asked.batches == TIMED + -(-views // 4)
    asked.batches = 0
    stored = images.weights()
    assert asked.batches == 0
    assert stored == images.weights(ONLINE)


@pytest.mark.slow
def test_a_training_interrupted_while_it_fills_ends_in_the_same_weights(images: Images, asked: Asked) -> None:
    online, asked.batches, asked.interrupt_at = images.weights(ONLINE), 0, TIMED + 2
    shutil.rmtree(images.runs)
    heard = Notes()
    with pytest.raises(Interrupted, match="Stopped while the soft labels were made; those so far are kept") as why:
        train(images.recipe(), images.runs, progress=heard)
    (folder,) = map(RunFolder, images.runs.iterdir())
    assert str(why.value).endswith(f"Continue with: sskt-edge train {folder.path} --resume")
    assert why.value.exit_code == 130
    assert heard.lines[-1] == "stopped by signal 2; the labels so far are kept"
    assert not folder.last.exists()
    assert rows(images) == 8
    assert train(images.recipe(), resume=folder.path).folder.primary.read_bytes() == online
    assert asked.batches == TIMED + -(-rows(images) // 4)


@pytest.mark.slow
def test_a_training_whose_store_is_pruned_asks_the_same_engine_again(
    images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = ("labels.engine=onnxruntime", "labels.gate={kl=10, agreement=0}")
    whole = images.weights(*named)
    shutil.rmtree(images.runs)
    folder = stop_within_epoch(1, images.recipe(*named), images.runs, monkeypatch)
    assert read_environment(RunFolder(folder)).engines == {"teacher": "onnxruntime-fp32"}
    LabelStore(images.store).collections()[0].prune()
    heard = Notes()
    resumed = train(images.recipe(*named), resume=folder, progress=heard)
    assert resumed.folder.primary.read_bytes() == whole
    assert any("with onnxruntime-fp32 (as the run began)" in line for line in heard.lines)


def flip_a_bit(images: Images, tensor: str = "logits") -> Path:
    """In the only shard; its last byte is of a key."""
    (shard,) = images.store.rglob("*.safetensors")
    content = bytearray(shard.read_bytes())
    content[-1 if tensor == "keys" else -17 * rows(images)] ^= 1
    shard.write_bytes(content)
    return shard


@pytest.mark.slow
@pytest.mark.parametrize("tensor", ["logits", "keys"])
def test_a_damaged_shard_is_named_and_asked_again(tensor: str, images: Images, asked: Asked) -> None:
    whole = images.weights()
    damaged, asked.batches, heard = flip_a_bit(images, tensor), 0, Notes()
    assert train(images.recipe(), images.runs, progress=heard).folder.primary.read_bytes() == whole
    assert f"'{damaged}': its content changed. Its {rows(images)} labels are computed again." in heard.lines
    one = int(tensor == "keys")  # that key is missed before its shard is verified
    assert asked.batches == -(-rows(images) // 4) + one
    assert not damaged.exists()


def test_labels_that_will_not_fit_are_refused_before_any_source_is_asked(
    images: Images, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(images.root)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100))
    with pytest.raises(StorageError, match=r"soft labels take .* GB, but only 0\.0 GB are free"):
        train(images.recipe(), images.runs)
    assert asked.batches == TIMED
    assert not images.store.exists()


def test_a_disk_that_damages_whatever_is_written_ends_with_a_message(images: Images) -> None:
    class Damaging(Notes):
        @contextmanager
        def bar(self, what: str, total: int) -> Iterator[Bar]:
            if what == "verify labels":
                flip_a_bit(images)
            with super().bar(what, total) as bar:
                yield bar

    with pytest.raises(StorageError, match=r"damaged.*Check the disk"):
        train(images.recipe(), images.runs, progress=Damaging())


@pytest.mark.slow
@pytest.mark.parametrize("store", ["", ONLINE])
def test_too_small_a_top_k_leaves_no_run_and_the_named_one_trains(store: str, images: Images) -> None:
    overrides = [store] if store else []
    with pytest.raises(RecipeError, match=r"labels\.top_k = 1 .* passes is \d of 10") as error:
        images.weights("labels.top_k=1", *overrides)
    assert list(images.runs.iterdir()) == []
    enough = str(error.value).partition("passes is ")[2].partition(" ")[0]
    images.weights(f"labels.top_k={enough}", *overrides)
    with pytest.raises(RecipeError, match=rf"labels\.top_k = {int(enough) - 1} "):
        images.weights(f"labels.top_k={int(enough) - 1}", *overrides)


@pytest.mark.slow
def test_openvino_serves_a_training(images: Images) -> None:
    named = ("labels.engine=openvino", "labels.precision=fp32")
    run = train(images.recipe(*named, "train.epochs=1"), images.runs)
    assert read_environment(run.folder).engines == {"teacher": "openvino-fp32"}
    (collection,) = LabelStore(images.store).collections()
    assert collection.facts["engine"]["backend"] == "openvino"
    assert collection.rows == 16


@pytest.mark.slow
def test_labels_of_a_removed_library_serve_a_training_and_are_named(
    images: Images, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    fill_store(images.recipe("labels.engine=openvino", "labels.precision=fp32", "train.epochs=1"))
    before, asked.batches = rows(images), 0
    monkeypatch.setitem(sys.modules, "openvino", None)

    (plan,) = plan_labels(images.recipe("train.epochs=1")).sources
    assert (plan.choice.engine.name, plan.missing, plan.filling) == ("openvino-fp32", 0, 0.0)
    asked.batches = 0
    run = train(images.recipe("train.epochs=1"), images.runs)

    assert read_environment(run.folder).engines == {"teacher": "openvino-fp32"}
    assert (asked.batches, rows(images)) == (0, before)


@pytest.mark.slow
def test_an_engine_that_the_gate_refuses_leaves_neither_run_nor_labels(images: Images) -> None:
    with pytest.raises(ParityError, match=r"onnxruntime-fp32: KL .* nats, .*0 is allowed"):
        images.weights("labels.engine=onnxruntime", "labels.gate.kl=0", "sources.0.mean=[0.1,0.2,0.3]")
    assert not images.runs.exists()
    assert not images.store.exists()


@pytest.mark.slow
def test_unlabelled_images_change_the_weights_and_not_from_scratch(images: Images) -> None:
    labelled, scratch = ("data.per_class=4",), "method.name=scratch"
    assert images.weights(*REST) != images.weights(*labelled)
    assert images.weights(*REST, scratch) == images.weights(*labelled, scratch)


def test_a_ratio_that_adds_no_unlabelled_image_is_refused(images: Images) -> None:
    with pytest.raises(RecipeError, match=r"data\.unlabelled_ratio = 0\.05 adds no image to a batch"):
        images.weights(*REST, "data.unlabelled_ratio=0.05")


@pytest.mark.parametrize(
    ("change", "why"), [("method.name=scratch", "nothing to fill"), (ONLINE, "Set it to a folder")]
)
def test_a_recipe_that_keeps_no_labels_has_nothing_to_fill(change: str, why: str, images: Images) -> None:
    with pytest.raises(RecipeError, match=why):
        fill_store(images.recipe(change))


def test_a_store_that_is_a_file_is_refused(images: Images, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(RecipeError, match=r"is a file\. Name a folder: --set labels\.store=FOLDER"):
        fill_store(images.recipe(f"labels.store='{file}'"))


def test_what_all_sources_cost_is_said_before_the_first_is_asked(
    images: Images, tiny_teacher: TrainedNetwork, tiny_run: TrainedNetwork, asked: Asked
) -> None:
    paths = [run.folder.path for run in (tiny_teacher, tiny_run)]
    both = ", ".join(f"{{name='s{number}', model='run/{path}'}}" for number, path in enumerate(paths))
    heard, asked.interrupt_at = Notes(), 2 * TIMED + 1
    with pytest.raises(Interrupted):
        fill_store(images.recipe(f"sources=[{both}]"), heard)
    assert [line[:3] for line in heard.lines if "views to query" in line] == ["s0:", "s1:"]


def test_labels_of_float16_are_all_that_the_store_keeps(images: Images) -> None:
    fill_store(images.recipe())
    (collection,) = LabelStore(images.store).collections()
    assert collection.row_bytes == 16 + 2 * 10
    assert np.isclose(collection.bytes, rows(images) * collection.row_bytes, rtol=0.5)
