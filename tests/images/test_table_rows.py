"""Everything that is wrong with a table is said at once, with the number of its line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from sskt_edge.common.errors import DataError, MissingExtraError
from sskt_edge.images.listing import Expected
from sskt_edge.images.table_file import read_table
from sskt_edge.images.table_rows import TableRows, rows_of
from sskt_edge.recipe.table import TableOptions
from sskt_edge.tasks.multi_label import MULTI_LABEL
from sskt_edge.tasks.single_label import SINGLE_LABEL
from tests.data.tables import SINGLE, reader, table


def test_all_faults_are_in_one_message_with_their_lines(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "path,classes,split,weight",
        "img/00.png,cat,train,1",
        "img/99.png,cat,train,1",
        "img/02.png,,train,1",
        "img/03.png,dog,tain,1",
        "./img/00.png,dog,test,1",
        "img/05.png,cat|dog,train,0",
        "img/06.png,cat",
        "img/07.png,cat|,train,many",
        ",cat,train,1",
    )
    with pytest.raises(DataError) as caught:
        reader(path)

    lines = str(caught.value).splitlines()
    assert "10 faults" in lines[0]
    for number, words in [
        *((3, "99.png"), (4, "none"), (5, "'tain'"), (6, "line 2"), (7, "'cat', 'dog'"), (7, "'0'"), (8, "2 cells")),
        *((9, "without a name"), (9, "'many'"), (10, "no path")),
    ]:
        assert any(line.startswith(f"  line {number}: ") and words in line for line in lines), (number, words)


def test_of_many_faults_the_first_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    path = table(tmp_path, "path,classes", *(f"img/{number}.jpg,cat" for number in range(100)), images=0)
    with pytest.raises(DataError, match="and 80 more"):
        reader(path)


@pytest.mark.parametrize("value", ["2", "yes", ""])
def test_a_column_of_a_class_has_1_0_or_minus_1(value: str, tmp_path: Path) -> None:
    path = table(tmp_path, "path,cat,dog", f"img/00.png,1,{value}")
    with pytest.raises(DataError, match="line 2: 'dog'"):
        reader(path, MULTI_LABEL, {"classes": "*"})


def test_a_column_that_is_missing_is_told_the_nearest(tmp_path: Path) -> None:
    path = table(tmp_path, "file,clases", *SINGLE)
    with pytest.raises(DataError) as caught:
        reader(path, options={"paths": "fil", "split": "part"})
    said = str(caught.value)
    assert "data.table.paths" in said and "Nearest: 'file'" in said
    assert "data.table.classes" in said and "Nearest: 'clases'" in said and "data.table.split" in said


def test_no_column_left_over_for_a_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column is left"):
        reader(table(tmp_path, "path,split", "img/00.png,train"), options={"classes": "*"})


def test_one_class_is_not_enough_to_choose_from(tmp_path: Path) -> None:
    path = table(tmp_path, "path,classes", *(f"img/{number:02}.png,cat" for number in range(24)))
    with pytest.raises(DataError, match="training needs"):
        reader(path, SINGLE_LABEL)
    assert reader(path, MULTI_LABEL).classes == ("cat",)


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        (("00.png,cat,train", "01.png,dog,test", "02.png,cat,test"), "no training image has class 'dog'"),
        (("00.png,cat,test", "01.png,dog,test"), "none of train"),
        (("00.png,cat,train", "01.png,dog,train", "02.png,cat,test"), "'dog' has no test image"),
        (("00.png,cat,train", "01.png,dog,train", "02.png,cat,train"), "'dog' has no test image"),
    ],
)
def test_every_class_can_be_learned_and_tested(rows: tuple[str, ...], word: str, tmp_path: Path) -> None:
    path = table(tmp_path, "path,classes,split", *(f"img/{row}" for row in rows))
    with pytest.raises(DataError, match=word):
        reader(path)


def test_of_several_classes_one_may_have_no_test_image(tmp_path: Path) -> None:
    path = table(tmp_path, "path,classes,split", "img/00.png,cat|dog,train", "img/01.png,cat,test")
    assert any("'dog'" in note for note in reader(path, MULTI_LABEL).notes)


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("labels.csv", b"", "no rows"),
        ("labels.csv", b"path,classes\n", "no rows"),
        ("labels.csv", "path,classes\nä.png,cat\n".encode("latin-1"), "UTF-8"),
        ("labels.csv", b'path,classes\n"a.png,cat\n', "not CSV"),
        ("labels.csv", b"path,path\na.png,cat\n", "two columns"),
        ("labels.xlsx", b"PK", "not a table"),
    ],
)
def test_what_is_not_a_table_is_refused(name: str, content: bytes, word: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=word):
        read_table(tmp_path / name, "|")


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "labels.csv", tmp_path):
        with pytest.raises(DataError, match=r"does not exist|not a table"):
            read_table(path, "|")


def test_parquet_without_its_library_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "labels.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"sskt-edge\[table\]"):
        read_table(tmp_path / "labels.parquet", "|")


def rows(path: Path, **options: object) -> TableRows:
    return rows_of(read_table(path, "|"), TableOptions.model_validate(options), one_class=False)


def test_labels_follow_the_classes_of_a_bundle(tmp_path: Path) -> None:
    cells = rows(table(tmp_path / "a", "path,classes", "img/00.png,dog|ant", "img/01.png,"))
    columns = rows(table(tmp_path / "b", "path,dog,ant", "img/00.png,1,0", "img/01.png,0,-1"), classes="*")
    expected = Expected(("dog", "cat", "ant"), "the bundle")
    assert cells.labels_of(expected).tolist() == [[1, 0, 1], [0, 0, 0]]
    assert columns.labels_of(expected).tolist() == [[1, -1, 0], [0, -1, -1]]


def test_a_class_that_a_bundle_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the bundle: 'ant'"):
        rows(table(tmp_path, "path,classes", "img/00.png,ant")).labels_of(Expected(("dog", "cat"), "the bundle"))


@pytest.mark.parametrize("options", [{"paths": "a", "classes": "a"}, {"classes": ["a", "a"]}, {"split": "classes"}])
def test_one_column_cannot_be_two_things(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="twice"):
        TableOptions.model_validate(options)


def test_a_column_of_classes_is_not_taken_for_weights_or_parts(tmp_path: Path) -> None:
    path = table(tmp_path, "path,weight,split", "img/00.png,1,0", "img/01.png,0,1")
    found = rows(path, classes=["weight", "split"])
    assert found.classes == ("weight", "split") and found.labels.tolist() == [[1, 0], [0, 1]]
    assert found.weights is None and found.parts == ["", ""]


def test_a_path_that_no_file_can_have_is_a_fault_of_its_row(tmp_path: Path) -> None:
    path = table(tmp_path, "path,classes", "img/00.png,cat", f"{'long ' * 80},dog")
    with pytest.raises(DataError, match=r"line 3: file .* does not exist"):
        rows(path)
