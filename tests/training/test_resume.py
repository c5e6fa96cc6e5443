"""A training that was stopped goes on to the same weights, to the bit."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sskt_edge.common.errors import Interrupted, RunError
from sskt_edge.common.progress import Bar, Quiet
from sskt_edge.recipe.load import load_recipe
from sskt_edge.targets.run_folder import TrainedNetwork, read_run
from sskt_edge.targets.run_layout import RunFolder, find_runs
from sskt_edge.training.environment import refuse_other_recipe
from sskt_edge.training.epoch_table import epoch_of
from sskt_edge.training.resume import unfinished_run
from sskt_edge.training.train import train
from tests.data.small import write_classes
from tests.sealed import of_before
from tests.training.labelled import Images
from tests.training.small import recipe, stop_within_epoch, text
from tests.trainings import Trainings

# Enough steps that a signal meets the training on its way.
EPOCHS = 12
TOLD = ("data.image_size=32", "data.per_class=3", f"train.epochs={EPOCHS}", "train.batch_size=10")


@pytest.fixture
def whole(tiny_run: TrainedNetwork, trained: Trainings) -> bytes:
    """The weights of a training that nobody stopped."""
    return trained(recipe(tiny_run.folder.path, *TOLD)).folder.primary.read_bytes()


def logged_epochs(folder: RunFolder) -> list[int | None]:
    """The epochs that log.txt has lines of, one by one; it ends with the result, which it has once."""
    lines = [line[20:] for line in folder.log.read_text().splitlines()]
    assert [line for line in lines if line.startswith("result: ")] == lines[-1:]
    assert len(set(lines)) == len(lines)
    return [epoch for line in lines if "/" in line.split()[0] and (epoch := epoch_of(line)) is not None]


def start(tiny_run: TrainedNetwork, runs: Path) -> subprocess.Popen[str]:
    file = runs / "small.toml"
    file.write_text(text(tiny_run.folder.path))
    told = [part for change in TOLD for part in ("--set", change)]
    command = [sys.executable, "-m", "sskt_edge.cli.main", "train", str(file), "--runs", str(runs), *told]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_epoch(process: subprocess.Popen[str], runs: Path, epoch: int) -> RunFolder:
    """Wait until `epoch` epochs are logged; the run is still going on."""
    while process.poll() is None:
        found = find_runs(runs)
        if found and found[0].metrics.is_file() and found[0].metrics.read_text().count("\n") >= epoch:
            return found[0]
        time.sleep(0.01)
    raise AssertionError(f"ended early: {process.communicate()}")


def finish(tiny_run: TrainedNetwork, folder: RunFolder) -> bytes:
    """Go on, in this process."""
    assert not folder.result.exists()
    run = train(recipe(tiny_run.folder.path, *TOLD), resume=folder.path)
    lines = [json.loads(line) for line in run.folder.metrics.read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, EPOCHS + 1))
    assert logged_epochs(run.folder) == list(range(1, EPOCHS + 1))
    return run.folder.primary.read_bytes()


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_weights(tiny_run: TrainedNetwork, whole: bytes, tmp_path: Path) -> None:
    process = start(tiny_run, tmp_path)
    folder = wait_for_epoch(process, tmp_path, 2)
    process.kill()
    process.communicate()
    assert finish(tiny_run, folder) == whole


class _StopsAtTheTest(Quiet):
    """As Ctrl-C while the test images go through the network: raises what the signal's handler does."""

    def __init__(self, raised: BaseException) -> None:
        self._raised = raised

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Bar]:
        if what == "torch, fp32":
            raise self._raised
        with super().bar(what, total) as bar:
            yield bar


@pytest.mark.slow
@pytest.mark.parametrize("raised", [KeyboardInterrupt(), Interrupted("Stopped.", signal.SIGINT)])
def test_a_stop_while_the_test_images_are_read_says_how_to_go_on(
    raised: BaseException, tiny_run: TrainedNetwork, whole: bytes, tmp_path: Path
) -> None:
    with pytest.raises(Interrupted, match="training is done and saved") as why:
        train(recipe(tiny_run.folder.path, *TOLD), tmp_path / "my runs", progress=_StopsAtTheTest(raised))
    (folder,) = find_runs(tmp_path / "my runs")
    assert str(why.value).endswith(f"sskt-edge train '{folder.path}' --resume")
    assert why.value.exit_code == 130
    assert finish(tiny_run, folder) == whole


@pytest.mark.slow
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_the_run_goes_on_to_the_same_weights(
    signum: int, code: int, tiny_run: TrainedNetwork, whole: bytes, tmp_path: Path
) -> None:
    process = start(tiny_run, tmp_path)
    folder = wait_for_epoch(process, tmp_path, 2)
    process.send_signal(signum)
    _, said = process.communicate()
    assert process.returncode == code, said
    assert f"sskt-edge train {folder.path} --resume" in said
    assert "Traceback" not in said
    assert f" 1/{EPOCHS} " in said and f" 2/{EPOCHS} " in said
    assert finish(tiny_run, folder) == whole


@pytest.mark.parametrize(
    "change",
    [
        "labels.views=2",
        "train.ema=0.9",
        pytest.param("target.model=mobilenet_v2", marks=pytest.mark.slow),  # its dropout draws random numbers
        pytest.param("labels.views=fresh", marks=pytest.mark.slow),
        pytest.param("labels.store=false", marks=pytest.mark.slow),
        pytest.param("data.validation=0.3", marks=pytest.mark.slow),
        pytest.param("train.precision=bf16", marks=pytest.mark.slow),
        pytest.param("train.channels_last=false", marks=pytest.mark.slow),
        pytest.param("train.optimizer.dampening=0.9", marks=pytest.mark.slow),
        pytest.param("train.schedule={name='plateau', patience=0, threshold=0.5}", marks=pytest.mark.slow),
        pytest.param("train.input={contrast=0.4, saturation=0.4, erasing=0.5}", marks=pytest.mark.slow),
        pytest.param("train.mixing.mixup=0.4", marks=pytest.mark.slow),
        pytest.param("train.mixing.cutmix=1.0", marks=pytest.mark.slow),
    ],
)
def test_a_run_stopped_within_an_epoch_goes_on_to_the_same_weights(
    change: str, tiny_run: TrainedNetwork, trained: Trainings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    further = {
        "target.model": ["data.image_size=32"],
        "data.validation": ["train.keep=best"],
        "train.schedule": ["data.validation=0.3"],
        "train.ema": ["data.validation=0.3", "train.keep=best", "train.input.brightness=0.4", "train.mixing.mixup=1"],
    }
    told = [change, *further.get(change.partition("=")[0], [])]
    small = recipe(tiny_run.folder.path, "train.epochs=4", *told)
    whole = trained(small).folder
    folder = stop_within_epoch(2, small, tmp_path / "stopped", monkeypatch)
    resumed = train(small, resume=folder).folder
    assert resumed.primary.read_bytes() == whole.primary.read_bytes()
    figures = [
        [{key: value for key, value in json.loads(line).items() if "second" not in key} for line in lines]
        for lines in (run.metrics.read_text().splitlines() for run in (whole, resumed))
    ]
    assert figures[0] == figures[1]
    assert logged_epochs(resumed) == [1, 2, 3, 4]
    if "plateau" in change:
        assert figures[0][2]["lr"] < figures[0][0]["lr"]  # lowered before the stop


@pytest.mark.slow
def test_a_run_that_was_killed_at_its_very_end_only_finishes(
    tiny_run: TrainedNetwork, trained: Trainings, whole: bytes, tmp_path: Path
) -> None:
    finished = trained(recipe(tiny_run.folder.path, *TOLD)).folder.path
    folder = RunFolder(shutil.copytree(finished, tmp_path / finished.name))
    folder.result.unlink()
    folder.primary.unlink()
    assert finish(tiny_run, folder) == whole


@pytest.mark.slow
@pytest.mark.parametrize("limit", [100_000, 300])  # met by the state; met by the log, the figures and the events
def test_a_full_disk_stops_with_a_message_and_the_state_stays_whole(
    limit: int, tiny_run: TrainedNetwork, whole: bytes, tmp_path: Path
) -> None:
    process = start(tiny_run, tmp_path)
    folder = wait_for_epoch(process, tmp_path, 2)
    # From here on the kernel refuses any file larger than this, as a full disk would.
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, limit))
    _, said = process.communicate()
    assert process.returncode == 1, said
    assert "no space is left" in said
    assert "Traceback" not in said
    assert not list(folder.path.rglob("*.tmp"))
    assert finish(tiny_run, folder) == whole


@pytest.fixture
def file(tiny_run: TrainedNetwork, tmp_path: Path) -> Path:
    """A recipe's file, one epoch, from scratch."""
    path = tmp_path / "small.toml"
    path.write_text(
        text(tiny_run.folder.path)
        .replace("epochs = 3", "epochs = 1")
        .replace("[method]\ntransfer_module = true\nalpha = 1.0", '[method]\nname = "scratch"')
    )
    return path


def begin(file: Path, *overrides: str) -> RunFolder:
    """A run of the recipe's file that lacks its result alone, in the folder of the file."""
    run = train(load_recipe(str(file), overrides), file.parent, overrides=overrides).folder
    run.result.unlink()
    return run


def test_resume_means_the_newest_unfinished_run_of_the_very_recipe(file: Path) -> None:
    with pytest.raises(RunError, match="No unfinished run of this recipe"):
        unfinished_run(str(file), (), file.parent)
    run = begin(file)
    assert unfinished_run(str(file), (), file.parent).folder == run
    assert unfinished_run(str(run.path), (), file.parent).folder == run
    run.result.touch()
    with pytest.raises(RunError, match="is finished"):
        unfinished_run(str(run.path), (), file.parent)


def test_a_run_does_not_go_on_from_what_was_changed(
    tiny_run: TrainedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = recipe(tiny_run.folder.path, "train.epochs=2")
    folder = RunFolder(stop_within_epoch(1, small, tmp_path / "runs", monkeypatch))
    for file, said in ((folder.recipe, "was changed"), (folder.environment, "trusted"), (folder.last, "SHA-256")):
        whole = file.read_bytes()
        file.write_bytes(whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:])
        with pytest.raises(RunError, match=rf"{file.name}.*{said}"):
            train(small, resume=folder.path)
        file.write_bytes(whole)
    assert "without a hash" not in folder.log.read_text()


@pytest.mark.slow
def test_a_run_of_before_its_files_had_a_hash_goes_on_and_says_so(
    tiny_run: TrainedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = recipe(tiny_run.folder.path, "train.epochs=1")
    folder = RunFolder(stop_within_epoch(0, small, tmp_path / "runs", monkeypatch))
    of_before(folder.environment, recipe_file_sha256=None)
    run = train(small, resume=folder.path)
    assert f"'{folder.environment}' was written by an older sskt-edge" in folder.log.read_text()
    assert run.result.recipe_file_sha256 is None and read_run(folder.path).folder.unprotected(folder.result) == []


@pytest.mark.slow
def test_a_run_that_was_started_with_a_set_is_found_without_it(file: Path) -> None:
    run = begin(file, "train.seed=7", "name=seven")
    found = unfinished_run(str(file), (), file.parent)
    assert (found.folder, found.overrides) == (run, ("train.seed=7", "name=seven"))
    assert (found.recipe.train.seed, found.recipe.name) == (7, "seven")
    other = begin(file, "train.seed=8")
    with pytest.raises(RunError, match="2 unfinished runs") as caught:
        unfinished_run(str(file), (), file.parent)
    assert f"sskt-edge train {run.path} --resume" in str(caught.value)
    assert unfinished_run(str(file), ["train.seed=8"], file.parent).folder == other


def test_an_edited_recipe_is_refused_with_the_keys_and_both_values(file: Path) -> None:
    run = begin(file)
    file.write_text(file.read_text().replace("epochs = 1", "epochs = 30\nseed = 4"))
    for named, overrides in ((str(file), ()), (str(run.path), ("train.epochs=30", "train.seed=4"))):
        with pytest.raises(RunError, match=r"train.epochs was 1, is 30; train.seed was 0, is 4") as caught:
            unfinished_run(named, overrides, file.parent)
        assert "()" not in str(caught.value)


def test_what_was_set_is_not_told_as_a_change_of_the_recipe(file: Path) -> None:
    begin(file, "train.seed=7")
    file.write_text(file.read_text().replace("lr = 0.05", "lr = 0.5"))
    with pytest.raises(RunError, match=r"train\.optimizer\.lr was 0\.05, is 0\.5") as caught:
        unfinished_run(str(file), (), file.parent)
    assert "train.seed" not in str(caught.value)


def test_a_run_whose_own_recipe_was_edited_is_refused_with_the_key(file: Path) -> None:
    run = begin(file)
    run.recipe.write_text(run.recipe.read_text().replace("lr = 0.05", "lr = 0.5"))
    with pytest.raises(RunError, match=r"train.optimizer.lr was 0.05, is 0.5"):
        unfinished_run(str(run.path), (), file.parent)
    with pytest.raises(RunError, match=r"train.optimizer.lr was 0.05, is 0.5"):
        train(load_recipe(str(run.recipe)), resume=run.path)


def test_a_value_that_a_run_did_not_have_is_told(tiny_run: TrainedNetwork, file: Path) -> None:
    run = begin(file)
    changed = recipe(tiny_run.folder.path, "sources.teacher.alpha=0.5", "method.name=scratch", "train.epochs=1")
    with pytest.raises(RunError, match=r"sources.teacher.alpha was not set, is 0.5"):
        refuse_other_recipe(run, changed)


def test_an_image_that_changed_is_named_when_a_run_is_resumed(
    tiny_teacher: TrainedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = Images(tmp_path, tiny_teacher)
    folder = stop_within_epoch(0, images.recipe(), images.runs, monkeypatch)
    root = Path(images.recipe().data.root)
    changed, removed, *_ = sorted((root / "train").rglob("*.png"))
    changed.write_bytes(changed.read_bytes() + b" ")
    removed.unlink()
    with pytest.raises(RunError, match="the training images changed") as caught:
        train(images.recipe(), resume=folder)
    assert f"1 changed ({changed.relative_to(root).as_posix()})" in str(caught.value)
    assert f"1 removed ({removed.relative_to(root).as_posix()})" in str(caught.value)


def test_an_unfinished_run_is_not_read_and_says_how_to_go_on(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    folder = RunFolder(shutil.copytree(tiny_run.folder.path, tmp_path / "run"))
    folder.result.unlink()
    with pytest.raises(RunError, match=r"not finished.*--resume"):
        read_run(folder.path)


@pytest.mark.parametrize("further", ["", "labels.store=false", "train.mixing={mixup=1.0, cutmix=1.0}"])
def test_a_run_with_unlabelled_images_goes_on_to_the_same_weights(
    further: str, tiny_teacher: TrainedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = ("train.batch_size=4", "data.per_class=5")  # three an epoch
    told = [*steps, "data.unlabelled=rest", "labels.views=fresh", *([further] if further else [])]
    images = Images(tmp_path, tiny_teacher)
    whole = images.weights(*told)
    folder = stop_within_epoch(1, images.recipe(*told), tmp_path / "stopped", monkeypatch)
    assert train(images.recipe(*told), resume=folder).folder.primary.read_bytes() == whole


def test_a_run_does_not_go_on_with_other_unlabelled_images(
    tiny_teacher: TrainedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = Images(tmp_path, tiny_teacher)
    further = tmp_path / "further"
    told = f"data.unlabelled={write_classes(further, {'photos': 3}, first=50) / 'photos'}"
    folder = stop_within_epoch(0, images.recipe(told), images.runs, monkeypatch)
    (further / "photos" / "000.png").unlink()
    with pytest.raises(RunError, match="the unlabelled images changed"):
        train(images.recipe(told), resume=folder)
