"""Times, counts and sizes are short, and an error is one line."""

from __future__ import annotations

import pytest

from sskt_edge.common.text import first_line, first_of, short_bytes, short_count, short_time


@pytest.mark.parametrize(("seconds", "said"), [(3.24, "3.2 s"), (60, "1 min 0 s"), (135.9, "2 min 15 s")])
def test_times_are_short(seconds: float, said: str) -> None:
    assert short_time(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"), [(900, "900"), (269_722, "0.27 M"), (40_600_000, "40.6 M"), (4_100_000_000, "4.10 G")]
)
def test_counts_are_short(count: float, said: str) -> None:
    assert short_count(count) == said


@pytest.mark.parametrize(("count", "said"), [(900, "1 kB"), (2_000_000, "2.0 MB"), (41_200_000_000, "41.2 GB")])
def test_sizes_are_short(count: float, said: str) -> None:
    assert short_bytes(count) == said


@pytest.mark.parametrize(
    ("error", "said"), [(ValueError("\n no such layer\nat line 7"), "no such layer"), (KeyError(), "KeyError")]
)
def test_an_error_is_one_line_that_is_never_empty(error: Exception, said: str) -> None:
    assert first_line(error) == said


def test_of_many_names_the_first_are_told_and_how_many_more_there_are() -> None:
    names = [f"n{number}" for number in range(1200)]

    assert first_of(names, 2) == "n0, n1 and 1,198 more"
    assert first_of(names[:2], 2, "; ") == "n0; n1"
    assert first_of([], 2) == ""
