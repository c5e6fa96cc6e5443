from __future__ import annotations

import hashlib
import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from sskt_edge.bundle.golden import Golden, pixel_hashes
from sskt_edge.common.errors import DataError
from sskt_edge.common.progress import QUIET
from sskt_edge.convert.evaluation_set import EvaluationSet, calibration_list, golden_evaluation_set, open_images
from sskt_edge.data.images import labelled_sha256, unlabelled_sha256
from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.data.readers import open_data
from sskt_edge.recipe.load import recipe_sha256
from sskt_edge.recipe.models import Recipe
from sskt_edge.targets.finished_run import NetworkCost, RunResult
from sskt_edge.targets.reference import reference_facts, reference_logits
from sskt_edge.targets.run_folder import TrainedNetwork
from sskt_edge.targets.run_layout import RunFolder
from sskt_edge.targets.spec import target_spec
from sskt_edge.tasks.score import Score
from sskt_edge.tasks.single_label import SINGLE_LABEL
from tests.conftest import tiny_recipe
from tests.convert.nets import ORT, evaluation_set_of, logits_of, trained

GOLDEN = 5
CLASSES = ("blue", "green", "red")


def run_on(recipe: Recipe, folder: Path) -> TrainedNetwork:
    """A run on a recipe's images as it stands when training has ended, of a network that has learnt nothing."""
    side, reader = recipe.data.image_size, open_data(recipe.data)
    training, validation = reader.training([side], QUIET)
    unlabelled, test = reader.unlabelled([side], QUIET), reader.test([side], QUIET)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = target_spec(recipe.target.model).build(len(reader.classes)).eval()
    pixels = Pixels(side, recipe.target.mean, recipe.target.std)
    logits = reference_logits(network, pixels, test.resized[side])
    first = slice(0, GOLDEN)
    golden = Golden(
        *(test.resized[side][first], test.labels[first], logits[first]),
        *(pixel_hashes(test.resized[side]), test.labels, logits),
    ).as_bytes()
    run = RunFolder(folder)
    run.path.mkdir()
    run.golden.write_bytes(golden)
    result = RunResult(
        name=recipe.name,
        classes=reader.classes,
        recipe_sha256=recipe_sha256(recipe),
        data_sha256=labelled_sha256(reader.classes, training, validation),
        unlabelled_sha256=None if unlabelled is None else unlabelled_sha256(unlabelled),
        sources={},
        kept="last",
        kept_epoch=1,
        task="single_label",
        test=Score(metric="accuracy", images=len(test), value=0.5, interval=(0.0, 1.0)),
        validation=None,
        primary=NetworkCost(parameters=1, macs=1),
        branches=NetworkCost(parameters=0, macs=0),
        primary_sha256="0" * 64,
        golden_sha256=hashlib.sha256(golden).hexdigest(),
        skipped_images=0,
        seconds=1.0,
        label_seconds=0.0,
        reference=reference_facts(),
    )
    return TrainedNetwork(run, recipe, result, network, pixels)


def digits(tmp_path: Path, *overrides: str) -> TrainedNetwork:
    return run_on(tiny_recipe("data.validation=0.1", *overrides), tmp_path / "run")


def write(root: Path, count: int, seed: int) -> None:
    """`count` images below `root`."""
    root.mkdir(parents=True)
    for number, pixels in enumerate(np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)):
        Image.fromarray(pixels).save(root / f"{number}.png")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A user's folder: train/ and test/ of three classes, and images of no class."""
    root = tmp_path / "photos"
    for place, name in enumerate(CLASSES):
        write(root / "data" / "train" / name, 10, place)
        write(root / "data" / "test" / name, 4, 10 + place)
    write(root / "more", 9, 20)
    return root


def on_photos(photos: Path, tmp_path: Path, *overrides: str) -> TrainedNetwork:
    root = (photos / "data").as_posix()
    more = (photos / "more").as_posix()
    base = ["data.name=imagefolder", f"data.root={root}", f"data.unlabelled={more}", "data.image_size=8"]
    return run_on(tiny_recipe(*base, "data.per_class=0", "data.validation=0.2", *overrides), tmp_path / "run")


def files_below(folder: Path) -> set[str]:
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.png")}


def test_calibration_images_are_never_test_or_validation_images(tmp_path: Path) -> None:
    run = digits(tmp_path, "export.calibration=1000")
    reader, side = open_data(run.recipe.data), run.recipe.data.image_size
    training, validation = reader.training([side], QUIET)
    test = reader.test([side], QUIET)
    assert validation is not None

    images = open_images(run, QUIET)

    assert len(images.calibration) == len(training)
    assert set(images.hashes) == {row.tobytes().hex() for row in training.hashes}
    for other in (validation, test):
        assert not set(images.hashes) & {row.tobytes().hex() for row in other.hashes}
        # What stands there are those images indeed, whatever their hashes say.
        shown = {row.tobytes() for row in pixel_hashes(other.resized[side])}
        assert not shown & {row.tobytes() for row in pixel_hashes(images.calibration)}


def test_calibration_takes_training_and_unlabelled_files_by_content(photos: Path, tmp_path: Path) -> None:
    images = open_images(on_photos(photos, tmp_path), QUIET)

    assert len(images.hashes) == len(set(images.hashes)) == len(images.calibration) == 3 * 8 + 9
    assert set(images.hashes) < files_below(photos / "data" / "train") | files_below(photos / "more")
    assert files_below(photos / "more") < set(images.hashes)
    assert not set(images.hashes) & files_below(photos / "data" / "test")
    by_hash = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in photos.rglob("*.png")}
    for square, name in zip(images.calibration, images.hashes, strict=True):
        assert np.array_equal(square, np.asarray(Image.open(by_hash[name])))


def test_a_run_without_unlabelled_images_asks_for_none(photos: Path, tmp_path: Path) -> None:
    run = on_photos(photos, tmp_path, "data.unlabelled=''")
    assert not set(open_images(run, QUIET).hashes) & files_below(photos / "more")


def test_as_many_are_drawn_as_the_recipe_says_and_the_same_each_time(tmp_path: Path) -> None:
    run = digits(tmp_path, "export.calibration=20")
    first, again = open_images(run, QUIET), open_images(run, QUIET)

    assert len(first.hashes) == len(first.calibration) == 20
    assert first.hashes == again.hashes
    assert np.array_equal(first.calibration, again.calibration)
    assert np.array_equal(first.searched, again.searched)
    assert np.array_equal(first.test.images, again.test.images)


def test_more_images_are_the_fewer_ones_and_others(tmp_path: Path) -> None:
    drawn = []
    for count in (10, 30):
        run = run_on(tiny_recipe(f"export.calibration={count}"), tmp_path / f"run{count}")
        drawn.append(set(open_images(run, QUIET).hashes))
    assert drawn[0] < drawn[1]


def test_the_first_images_are_of_many_classes(photos: Path, tmp_path: Path) -> None:
    # Sensitivity is measured on the first ones alone, and a folder is read class by class.
    run = on_photos(photos, tmp_path, "data.unlabelled=''")
    hashes = open_images(run, QUIET).hashes[:8]
    classes = {name for name in CLASSES if files_below(photos / "data" / "train" / name) & set(hashes)}
    assert classes == set(CLASSES)


def is_moved(image: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> bool:
    """Whether `other` is `image`, moved by a quarter of its side at most, with black behind it."""
    most, side = len(image) // 4, len(image)
    padded = np.pad(image, ((most, most), (most, most), (0, 0)))
    places = itertools.product(range(2 * most + 1), repeat=2)
    return any(np.array_equal(padded[y : y + side, x : x + side], other) for y, x in places)


def test_the_search_looks_at_calibration_images_new_to_the_network(tmp_path: Path) -> None:
    images = open_images(run_on(tiny_recipe(), tmp_path / "run"), QUIET)
    same = [np.array_equal(*pair) for pair in zip(images.calibration, images.searched, strict=True)]
    assert len(same) == 50
    assert np.mean(same) < 0.1


def test_the_search_has_labels_for_validation_images_alone(tmp_path: Path) -> None:
    run = digits(tmp_path, "export.calibration=20")
    _, validation = open_data(run.recipe.data).training([16], QUIET)
    assert validation is not None

    images = open_images(run, QUIET)

    assert len(images.searched) == 20 + len(validation)
    assert np.array_equal(images.labels[:20], np.full(20, -1))
    assert np.array_equal(images.labels[20:], validation.labels)
    assert all(map(is_moved, images.calibration, images.searched[:20]))
    assert np.array_equal(images.searched[20:], validation.resized[16])
    logits = reference_logits(run.network, run.pixels, images.searched)
    search = images.answered(logits).search
    assert search.images is images.searched and search.labels is images.labels and search.logits is logits
    assert search.batch == run.recipe.export.batch.max == 8


def test_without_validation_images_no_label_is_known(tmp_path: Path) -> None:
    images = open_images(run_on(tiny_recipe(), tmp_path / "run"), QUIET)
    assert len(images.searched) == len(images.calibration)
    assert set(images.labels) == {-1}


def test_the_test_images_come_with_the_logits_that_training_left(tmp_path: Path) -> None:
    run = digits(tmp_path)
    test, golden = open_images(run, QUIET).test, run.golden()
    assert len(test) == run.result.test.images
    assert np.array_equal(test.labels, golden.test_labels)
    assert np.array_equal(test.logits, golden.test_logits)
    assert np.array_equal(pixel_hashes(test.images), golden.test_pixels)


def one_pixel(file: Path) -> None:
    pixels = np.asarray(Image.open(file)).copy()
    pixels[0, 0, 0] ^= 1
    Image.fromarray(pixels).save(file)


def of_another_class(file: Path) -> None:
    file.rename(file.parent.parent / "red" / "moved.png")


def one_more(file: Path) -> None:
    pixels = np.asarray(Image.open(file)).copy()
    Image.fromarray(255 - pixels).save(file.parent / "added.png")


CHANGES = (one_pixel, of_another_class, one_more, Path.unlink)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    ("which", "file"),
    [("training", "data/train/blue/3.png"), ("test", "data/test/blue/1.png"), ("unlabelled", "more/3.png")],
)
def test_changed_images_are_refused_with_what_to_do(
    photos: Path, tmp_path: Path, change: Callable[[Path], None], which: str, file: str
) -> None:
    if which == "unlabelled" and change is of_another_class:
        change = one_more
    run = on_photos(photos, tmp_path)
    open_images(run, QUIET)
    change(photos / file)

    with pytest.raises(DataError) as refusal:
        open_images(run, QUIET)

    said = str(refusal.value)
    assert f"The {which} images in '" in said and "' are not those of the training" in said
    assert "Put them back, or export without them: --precision fp32" in said


def test_the_refusal_of_unlabelled_images_names_their_folder(photos: Path, tmp_path: Path) -> None:
    run = on_photos(photos, tmp_path)
    (photos / "more" / "3.png").unlink()
    with pytest.raises(DataError, match=r"The unlabelled images in '.*/more'"):
        open_images(run, QUIET)


def test_images_that_lie_elsewhere_now_are_the_same_images(photos: Path, tmp_path: Path) -> None:
    run = on_photos(photos, tmp_path, "data.unlabelled=''")
    before = open_images(run, QUIET)
    moved = shutil.move(photos / "data", tmp_path / "elsewhere")
    recipe = run.recipe.model_copy(update={"data": run.recipe.data.model_copy(update={"root": str(moved)})})

    after = open_images(TrainedNetwork(run.folder, recipe, run.result, run.network, run.pixels), QUIET)

    assert after.hashes == before.hashes
    assert np.array_equal(after.test.images, before.test.images)


def test_without_the_folder_the_error_is_of_the_data(photos: Path, tmp_path: Path) -> None:
    run = on_photos(photos, tmp_path)
    shutil.rmtree(photos)
    with pytest.raises(DataError):
        open_images(run, QUIET)


def test_the_golden_exam_is_the_golden_set(tmp_path: Path) -> None:
    run = digits(tmp_path)
    evaluation_set, golden = golden_evaluation_set(run), run.golden()
    assert len(evaluation_set) == GOLDEN
    assert evaluation_set.batch == run.recipe.export.batch.max
    for field in ("images", "labels", "logits"):
        assert np.array_equal(getattr(evaluation_set, field), getattr(golden, field))


def test_the_first_of_an_exam_are_its_first() -> None:
    evaluation_set = evaluation_set_of(trained(), 10)
    few = evaluation_set.first(4)
    assert (len(few), few.batch) == (4, evaluation_set.batch)
    for field in ("images", "labels", "logits"):
        assert np.array_equal(getattr(few, field), getattr(evaluation_set, field)[:4])
    assert len(evaluation_set.first(64)) == 10


def test_an_exams_answers_are_those_of_the_file_whatever_its_batch() -> None:
    evaluation_set = evaluation_set_of(trained(), 10)
    for batch in (1, 3, 64):
        answers = EvaluationSet(
            evaluation_set.images, evaluation_set.labels, evaluation_set.logits, batch, SINGLE_LABEL
        ).answers(trained(), ORT)
        assert answers == pytest.approx(logits_of(trained(), evaluation_set.images), abs=1e-4)


def test_the_calibration_list_has_a_hash_a_line() -> None:
    hashes = ["a" * 64, "b" * 64]
    assert calibration_list(hashes) == f"{'a' * 64}\n{'b' * 64}\n".encode()
    assert calibration_list([]) == b""
