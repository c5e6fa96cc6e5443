from __future__ import annotations

from pathlib import Path

import pytest

from sskt_edge.common.errors import DataError
from sskt_edge.images.class_names import class_folders

ROOT = Path("photos")


@pytest.mark.parametrize(
    "name",
    [
        "می\N{ZERO WIDTH NON-JOINER}خ",
        "\U0001f469\N{ZERO WIDTH JOINER}\U0001f33e",
        "a\N{NO-BREAK SPACE}b",
        "日\u3000本",
        "a, b",
    ],
)
def test_joiners_and_spaces_of_any_kind_belong_to_a_name(name: str) -> None:
    assert list(class_folders(ROOT, [name, "cat"])) == sorted([name, "cat"])


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2J", "a\x7f", "a\x85", "caf\udce9", "a\u202eb", "a\u2066b"])
def test_what_cannot_be_printed_or_turns_the_text_is_refused_escaped(name: str) -> None:
    with pytest.raises(DataError, match="cannot name a class") as caught:
        class_folders(ROOT, ["cat", name])
    assert str(caught.value).isascii() and str(caught.value).isprintable()


def test_names_are_in_nfc_and_paths_as_the_file_system_has_them() -> None:
    assert class_folders(ROOT, ["zoo", "cafe\u0301"]) == {"café": ROOT / "cafe\u0301", "zoo": ROOT / "zoo"}


def test_two_spellings_of_one_name_are_both_named() -> None:
    with pytest.raises(DataError) as caught:
        class_folders(ROOT, ["cafe\u0301", "caf\u00e9"])
    assert "'cafe\\u0301'" in str(caught.value) and "'caf\\u00e9'" in str(caught.value)


def test_classes_are_sorted_by_their_names_not_by_their_spelling() -> None:
    """As bytes, "e" and an accent come before "f"; the one letter "é" comes after it."""
    assert list(class_folders(ROOT, ["e\u0301", "f"])) == ["f", "é"]
