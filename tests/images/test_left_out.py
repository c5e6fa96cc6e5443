from __future__ import annotations

from collections import Counter

from sskt_edge.images.left_out import LeftOut


def test_nothing_left_out_says_nothing() -> None:
    assert str(LeftOut()) == "" and LeftOut().notes() == []


def test_counts_of_two_folders_are_added() -> None:
    both = LeftOut(Counter({".heic": 2}), Counter({"@eaDir": 1}), 1, Counter(), 3) + LeftOut(
        Counter({".heic": 10, ".txt": 1}), Counter({"@eaDir": 1}), 0, Counter({"up": 1}), 0
    )

    assert both == LeftOut(Counter({".heic": 12, ".txt": 1}), Counter({"@eaDir": 2}), 1, Counter({"up": 1}), 3)


def test_the_line_names_the_endings_and_what_would_read_them() -> None:
    left = LeftOut(Counter({".heic": 1200, ".txt": 1, "": 2}), Counter({"@eaDir": 2}), 1, Counter({"up": 1}), 3)

    (line,) = left.notes()

    assert line == (
        "ignored: 1,200 .heic (needs: pip install pillow-heif), 3 other files (without an ending, .txt), "
        "3 images outside the class folders, 1 hidden image, 1 link that cannot be followed ('up'), "
        "2 hidden or system folders ('@eaDir')"
    )


def test_many_endings_and_names_stay_one_short_line() -> None:
    left = LeftOut(Counter({f".x{number}": 1 for number in range(50)}), Counter({f"#{n}": 1 for n in range(50)}))

    assert "50 other files" in str(left) and len(str(left)) < 150


def test_names_that_are_not_utf8_are_escaped() -> None:
    assert "\\xe9" in str(LeftOut(Counter({".\udce9": 1})))
