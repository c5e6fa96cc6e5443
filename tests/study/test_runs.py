"""How processes share the trainings of a study."""

from __future__ import annotations

from pathlib import Path

from sskt_edge.common.lock import locked
from sskt_edge.common.progress import QUIET
from sskt_edge.recipe import Recipe
from sskt_edge.study.base import with_train
from sskt_edge.study.runs import free_first, training_lock
from tests.conftest import tiny_recipe


def of_seeds(*seeds: int) -> dict[int, Recipe]:
    return {seed: with_train(tiny_recipe(), seed=seed) for seed in seeds}


def test_a_process_alone_keeps_the_order(tmp_path: Path) -> None:
    assert list(free_first(of_seeds(2, 0, 1), tmp_path)) == [2, 0, 1]
    assert list(free_first({}, tmp_path)) == []


def test_what_another_process_trains_at_the_time_waits_for_the_others(tmp_path: Path) -> None:
    recipes = of_seeds(0, 1, 2, 3, 4)
    order = free_first(recipes, tmp_path)
    with locked(training_lock(recipes[0], tmp_path), "trains", QUIET):
        assert next(order) == 1
        with locked(training_lock(recipes[2], tmp_path), "trains", QUIET):
            assert next(order) == 3
        assert next(order) == 2
    assert list(order) == [0, 4]


def test_every_recipe_comes_up_even_if_all_are_trained_elsewhere(tmp_path: Path) -> None:
    recipes = of_seeds(0, 1)
    with (
        locked(training_lock(recipes[0], tmp_path), "trains", QUIET),
        locked(training_lock(recipes[1], tmp_path), "trains", QUIET),
    ):
        assert list(free_first(recipes, tmp_path)) == [0, 1]
