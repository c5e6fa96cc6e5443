from __future__ import annotations

from typing import get_args

from sskt_edge.data.readers import DATA_SETS, open_data
from sskt_edge.recipe.models import DataOptions
from sskt_edge.recipe.names import DATA_SET_SIZES, DataSetName


def test_the_registry_and_the_recipe_know_the_same_names() -> None:
    assert tuple(DATA_SETS) == get_args(DataSetName)
    assert set(DATA_SET_SIZES) == set(DATA_SETS)


def test_a_data_set_is_opened_by_its_name() -> None:
    reader = open_data(DataOptions(name="digits"))

    assert reader.classes == tuple("0123456789")
    assert reader.own_side == 8
    assert reader.skipped == []
