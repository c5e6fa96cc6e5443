"""How processes share the trainings of a study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sskt_edge.common.lock import is_held, locked
from sskt_edge.common.progress import QUIET, Quiet
from sskt_edge.recipe import Recipe
from sskt_edge.study.base import with_train
from sskt_edge.study.runs import claimed, training_lock
from tests.conftest import tiny_recipe


def of_seeds(*seeds: int) -> dict[int, Recipe]:
    return {seed: with_train(tiny_recipe(), seed=seed) for seed in seeds}


def held(recipes: dict[int, Recipe], runs: Path) -> Sequence[int]:
    return [seed for seed, recipe in recipes.items() if is_held(training_lock(recipe, runs))]


def test_a_process_alone_keeps_the_order(tmp_path: Path) -> None:
    assert list(claimed(of_seeds(2, 0, 1), tmp_path, QUIET)) == [2, 0, 1]
    assert list(claimed({}, tmp_path, QUIET)) == []


def test_a_key_is_held_until_the_next_is_asked_for(tmp_path: Path) -> None:
    """So no other process can take it between the choice and the training."""
    recipes = of_seeds(0, 1)
    claims = claimed(recipes, tmp_path, QUIET)
    for seed in claims:
        assert held(recipes, tmp_path) == [seed]
    assert held(recipes, tmp_path) == []


def test_an_error_of_the_caller_releases_its_key(tmp_path: Path) -> None:
    recipes = of_seeds(0, 1)
    claims = claimed(recipes, tmp_path, QUIET)
    assert next(claims) == 0
    claims.close()
    assert held(recipes, tmp_path) == []


def test_what_another_process_trains_at_the_time_waits_for_the_others(tmp_path: Path) -> None:
    recipes = of_seeds(0, 1, 2, 3, 4)
    order = claimed(recipes, tmp_path, QUIET)
    with locked(training_lock(recipes[0], tmp_path), "trains", QUIET):
        assert next(order) == 1
        with locked(training_lock(recipes[2], tmp_path), "trains", QUIET):
            assert next(order) == 3
        assert next(order) == 2
    assert list(order) == [0, 4]


def test_of_two_processes_each_takes_what_the_other_does_not(tmp_path: Path) -> None:
    recipes = of_seeds(0, 1, 2, 3)
    ours, theirs = claimed(recipes, tmp_path, QUIET), claimed(recipes, tmp_path, QUIET)
    assert [next(ours), next(theirs), next(ours), next(theirs)] == [0, 1, 2, 0]


def test_if_all_are_trained_elsewhere_it_waits_for_the_first_and_says_so(tmp_path: Path) -> None:
    recipes, said = of_seeds(0), list[str]()
    other = locked(training_lock(recipes[0], tmp_path), "trains", QUIET)
    other.__enter__()

    class Ends(Quiet):
        def say(self, line: str) -> None:
            said.append(line)
            other.__exit__(None, None, None)

    assert list(claimed(recipes, tmp_path, Ends())) == [0]
    assert len(said) == 1 and said[0].endswith("which trains the same recipe.")
