from __future__ import annotations

import pytest

from sskt_edge.catalogue.data_sets import DATA_SETS
from sskt_edge.data.readers import open_data
from sskt_edge.recipe.models import DataOptions


@pytest.mark.parametrize("name", DATA_SETS)
def test_every_entry_names_code_that_can_be_called(name: str) -> None:
    assert callable(DATA_SETS[name].load())


def test_a_data_set_is_opened_by_its_name() -> None:
    reader = open_data(DataOptions(name="digits"))

    assert reader.classes == tuple("0123456789")
    assert reader.own_size == 8
    assert reader.skipped == []
