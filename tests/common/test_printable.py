r"""What is shown of names that a terminal would obey."""

from __future__ import annotations

import unicodedata

import pytest

from sskt_edge.common.printable import UNPRINTABLE, as_utf8, is_utf8, printable, printable_lines

TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def test_unprintable_are_controls_surrogates_and_what_turns_a_text() -> None:
    characters = map(chr, range(0x110000))
    wanted = {
        one
        for one in characters
        if unicodedata.category(one) in ("Cc", "Cs") or unicodedata.bidirectional(one) in TURNING
    }
    assert {one for one in map(chr, range(0x110000)) if UNPRINTABLE.match(one)} == wanted


@pytest.mark.parametrize(
    "name", ["\u0645\u06cc\u200c\u062e", "\U0001f469\u200d\U0001f52c", "a\u00a0b\u3000c", "\u200eא\u200f"]
)
def test_joiners_marks_and_spaces_stay(name: str) -> None:
    assert printable(name) == printable_lines(name) == name


def test_each_is_shown_by_its_escape_a_byte_of_a_name_by_its_own() -> None:
    assert printable("a\x1b[2J\x85\u202eb\udce9\ud800\n") == r"a\x1b[2J\x85\u202eb\xe9\ud800\x0a"
    assert printable_lines("a\tb\r\nc") == "a\tb\\x0d\nc"


def test_what_utf_8_has_no_code_for_is_found_and_escaped() -> None:
    assert is_utf8("naïve \x1b \U0001f469") and not is_utf8("caf\udce9")
    assert as_utf8("caf\udce9 \x1b") == "caf\\xe9 \x1b"
