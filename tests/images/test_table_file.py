from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sskt_edge.common.errors import DataError
from sskt_edge.common.progress import QUIET
from sskt_edge.images.table_file import read_table
from sskt_edge.tasks.multi_label import MULTI_LABEL
from tests.data.tables import SEVERAL, reader, table

pyarrow = pytest.importorskip("pyarrow", reason="Parquet needs the extra 'table'")


def write(path: Path, columns: dict[str, list[Any]]) -> Path:
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path


def test_parquet_gives_what_csv_gives(tmp_path: Path) -> None:
    csv = table(tmp_path, "path,classes", *SEVERAL)
    paths, cells = zip(*(row.split(",") for row in SEVERAL), strict=True)
    lists = [cell.split("|") if cell else [] for cell in cells]
    expected = reader(csv, MULTI_LABEL).training([16], QUIET)[0]

    for number, classes in enumerate((list(cells), lists, [cell or None for cell in cells])):
        found = reader(write(tmp_path / f"{number}.parquet", {"path": list(paths), "classes": classes}), MULTI_LABEL)
        images = found.training([16], QUIET)[0]
        assert images.names == expected.names and images.labels.tolist() == expected.labels.tolist()


@pytest.mark.parametrize("kind", [int, float, bool])
def test_columns_of_classes_may_be_numbers_of_any_kind(kind: type, tmp_path: Path) -> None:
    table(tmp_path, "path")
    columns: dict[str, list[Any]] = {
        "path": [f"img/{number:02}.png" for number in range(24)],
        "cat": [kind(number % 2) for number in range(24)],
        "dog": [kind(number % 3 == 0) for number in range(24)],
        "bytes": [b"an image"] * 24,  # is not read, and not a class
    }
    found = reader(write(tmp_path / "labels.parquet", columns), MULTI_LABEL, {"classes": "*"})
    assert found.classes == ("cat", "dog")
    images = found.training([16], QUIET)[0]
    assert images.labels.tolist() == [[int(n[4:6]) % 2, int(int(n[4:6]) % 3 == 0)] for n in images.names]


def test_faults_are_said_by_the_row(tmp_path: Path) -> None:
    path = write(tmp_path / "labels.parquet", {"path": ["a.png", "b.png"], "classes": ["cat", "dog"]})
    with pytest.raises(DataError, match=r"row 1: .*a\.png"):
        reader(path)


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.parquet", {"path": ["a.png"]}).read_bytes()
    for content in (b"PAR1", whole[:-20], b"path,classes\n"):
        (tmp_path / "labels.parquet").write_bytes(content)
        with pytest.raises(DataError, match="Parquet"):
            read_table(tmp_path / "labels.parquet", "|")
