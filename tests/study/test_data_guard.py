"""A data set is compared with what runs saw of it, and every part is read once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sskt_edge.bundle.golden import pixel_hashes
from sskt_edge.common.errors import StudyError
from sskt_edge.common.progress import QUIET
from sskt_edge.data.image_folder import FolderReader
from sskt_edge.data.images import labelled_sha256, unlabelled_sha256
from sskt_edge.data.readers import open_data
from sskt_edge.recipe.models import DataOptions
from sskt_edge.study import data_guard
from sskt_edge.study.data_guard import TEST, TRAINING, UNLABELLED, DataGuard
from sskt_edge.tasks.single_label import SINGLE_LABEL
from tests.data.small import picture, write_classes


@pytest.fixture
def data(tmp_path: Path) -> DataOptions:
    write_classes(tmp_path / "train", {"a": 6, "b": 6})
    write_classes(tmp_path / "test", {"a": 2, "b": 2}, first=100)
    return DataOptions(name="imagefolder", root=str(tmp_path), image_size=16, per_class=3, unlabelled="rest")


def seen(data: DataOptions) -> dict[str, str]:
    """What a run sees of the images that are there."""
    reader, sizes = open_data(data), [data.image_size]
    test, unlabelled = reader.test(sizes, QUIET), reader.unlabelled(sizes, QUIET)
    assert unlabelled is not None
    return {
        TRAINING: labelled_sha256(reader.classes, *reader.training(sizes, QUIET)),
        TEST: data_guard.tested_sha256(pixel_hashes(test.resized[data.image_size]), test.labels),
        UNLABELLED: unlabelled_sha256(unlabelled),
    }


def refuse(present: DataGuard, data: DataOptions, then: dict[str, str]) -> None:
    present.check_unchanged(data, SINGLE_LABEL, then, "then", "do otherwise")


@pytest.mark.parametrize("part", ["train", "test"])
def test_one_changed_image_is_noticed(part: str, data: DataOptions) -> None:
    then = seen(data)
    refuse(DataGuard(QUIET), data, then)
    Image.fromarray(picture(500)).save(min((Path(data.root) / part / "a").iterdir()))
    named = {TEST} if part == "test" else {TRAINING, UNLABELLED}
    with pytest.raises(StudyError, match=r"images changed since then\. Put them back, or do otherwise\.$") as error:
        refuse(DataGuard(QUIET), data, then)
    assert any(str(error.value).lower().startswith(name) for name in named)


def test_what_a_run_did_not_see_does_not_count(data: DataOptions) -> None:
    refuse(DataGuard(QUIET), data, {TEST: seen(data)[TEST]})


def test_every_part_is_read_once_for_any_number_of_runs(data: DataOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    then, present, read = seen(data), DataGuard(QUIET), []
    original = FolderReader.test

    def test(*given: Any) -> Any:
        read.append(1)
        return original(*given)

    monkeypatch.setattr(FolderReader, "test", test)
    for _ in range(3):
        refuse(present, data, then)
    assert len(read) == 1
