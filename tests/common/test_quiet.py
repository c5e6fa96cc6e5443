from __future__ import annotations

import logging

import pytest

from sskt_edge.common.quiet import errors_alone


def test_levels_are_as_before_even_after_a_failure() -> None:
    first, second = (logging.getLogger(f"tests.quiet.{name}") for name in ("first", "second"))
    first.setLevel(logging.INFO)
    with pytest.raises(ValueError, match="inside"), errors_alone(first.name, second.name):
        assert {first.getEffectiveLevel(), second.getEffectiveLevel()} == {logging.ERROR}
        raise ValueError("inside")
    assert (first.level, second.level) == (logging.INFO, logging.NOTSET)
