"""PASCAL VOC, where it is: its annotations as a table, compared with its own lists of images for each class."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks.voc_table import write_table
from sskt_edge.common.progress import QUIET
from sskt_edge.data.split import budget, hold_out, rank
from sskt_edge.data.table import TableReader
from sskt_edge.images.table_file import read_table
from sskt_edge.images.table_rows import TableRows, rows_of
from sskt_edge.recipe.table import TableOptions
from sskt_edge.tasks.multi_label import MULTI_LABEL
from tests.data.small import folder_data

VOC = Path(os.environ.get("SSKT_EDGE_VOC", ""))

pytestmark = pytest.mark.skipif(
    not (VOC / "ImageSets").is_dir(),
    reason="SSKT_EDGE_VOC names no folder with Annotations/, ImageSets/ and JPEGImages/",
)
OPTIONS = TableOptions(classes="*")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("voc") / "voc.csv"
    write_table(VOC, path)
    return path


@pytest.fixture(scope="module")
def rows(table: Path) -> TableRows:
    return rows_of(read_table(table, OPTIONS.separator), OPTIONS, one_class=False)


def test_every_label_is_that_of_vocs_own_lists(rows: TableRows) -> None:
    """In the lists -1 is an image without the class, and 0 one whose objects are all difficult."""
    place = {path.stem: row for row, path in enumerate(rows.paths)}
    for number, name in enumerate(rows.classes):
        for part in ("trainval", "test"):
            listed = (VOC / f"ImageSets/Main/{name}_{part}.txt").read_text().split()
            said = {
                stem: {"1": 1, "-1": 0, "0": -1}[value] for stem, value in zip(listed[::2], listed[1::2], strict=True)
            }
            assert said == {stem: int(rows.labels[place[stem], number]) for stem in said}
    assert len(rows.classes) == 20 and (rows.labels == -1).any()


def test_every_class_keeps_its_share_in_a_split(rows: TableRows) -> None:
    strata = MULTI_LABEL.strata(rows.labels)
    contents = np.random.default_rng(0).integers(0, 256, (len(strata), 32)).astype(np.uint8)
    order = rank(contents, 0)

    _, held = hold_out(strata, order, np.arange(len(strata)), 0.2)

    assert strata[held].sum(axis=0) == pytest.approx(0.2 * strata.sum(axis=0), abs=1.01)
    assert (strata[budget(strata, order, 10)][:, :20].sum(axis=0) >= 10).all()


def test_a_part_of_it_is_read_with_its_labels(table: Path, tmp_path: Path) -> None:
    with table.open(encoding="utf-8") as file:
        heads, *lines = csv.reader(file)
    short = tmp_path / "short.csv"
    with short.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(heads)
        writer.writerows([str(table.parent / path), *others] for path, *others in lines[:200] + lines[-100:])
    reader = TableReader(folder_data(short), OPTIONS, MULTI_LABEL)

    images, _ = reader.training([32], QUIET)
    test = reader.test([32], QUIET)

    assert (len(images), len(test)) == (200, 100) and images.resized[32].std() > 30
    assert images.labels.tolist() == [list(map(int, others)) for _, _, *others in lines[:200]]
