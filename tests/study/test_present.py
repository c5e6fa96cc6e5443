"""A data set is compared with what runs saw of it, and every part is read once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sskt_edge.data.folder import FolderReader
from sskt_edge.errors import StudyError
from sskt_edge.recipe.models import Data
from sskt_edge.runtime.progress import QUIET
from sskt_edge.study.present import TEST, TRAINING, UNLABELLED, Present
from tests.data.small import picture, write_classes


@pytest.fixture
def data(tmp_path: Path) -> Data:
    write_classes(tmp_path / "train", {"a": 6, "b": 6})
    write_classes(tmp_path / "test", {"a": 2, "b": 2}, first=100)
    return Data(name="imagefolder", root=str(tmp_path), image_size=16, per_class=3, unlabelled="rest")


def seen(data: Data) -> dict[str, str]:
    """What a run sees of the images that are there."""
    of = Present(QUIET)
    return {TRAINING: of._training(data), TEST: of._test(data), UNLABELLED: of._unlabelled(data)}


def refuse(present: Present, data: Data, then: dict[str, str]) -> None:
    present.refuse_changed(data, then, "then", "do otherwise")


@pytest.mark.parametrize("part", ["train", "test"])
def test_one_changed_image_is_noticed(part: str, data: Data) -> None:
    then = seen(data)
    refuse(Present(QUIET), data, then)
    Image.fromarray(picture(500)).save(min((Path(data.root) / part / "a").iterdir()))
    named = {TEST} if part == "test" else {TRAINING, UNLABELLED}
    with pytest.raises(StudyError, match=r"images changed since then\. Put them back, or do otherwise\.$") as error:
        refuse(Present(QUIET), data, then)
    assert any(str(error.value).lower().startswith(name) for name in named)


def test_what_a_run_did_not_see_does_not_count(data: Data) -> None:
    refuse(Present(QUIET), data, {TEST: seen(data)[TEST]})


def test_every_part_is_read_once_for_any_number_of_runs(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    then, present, read = seen(data), Present(QUIET), []
    original = FolderReader.test

    def test(*given: Any) -> Any:
        read.append(1)
        return original(*given)

    monkeypatch.setattr(FolderReader, "test", test)
    for _ in range(3):
        refuse(present, data, then)
    assert len(read) == 1
