from __future__ import annotations

from typing import Any

import pytest

from sskt_edge.common.errors import StudyError
from sskt_edge.recipe import load_recipe
from sskt_edge.study.base import with_overrides
from sskt_edge.study.space import DEFAULT_SPACE, parse_space, toml_of

MIXED = parse_space(
    [
        "method.temperature=1,2.5",
        "method.loss=ce,kd",
        'method.sources=["imagenet"],[]',
        "method.transfer_module=true,false",
    ]
)


def test_the_default_is_the_papers_figure_4_and_the_default_alpha() -> None:
    space = parse_space(DEFAULT_SPACE)
    assert space.as_json() == {"method.temperature": [1, 2, 3], "method.alpha": [0.1, 0.5, 1.0, 3.0]}
    assert len(space) == len(list(space.points())) == 12


def test_values_are_toml_or_plain_strings() -> None:
    assert MIXED.as_json() == {
        "method.temperature": [1, 2.5],
        "method.loss": ["ce", "kd"],
        "method.sources": [["imagenet"], []],
        "method.transfer_module": [True, False],
    }
    assert [axis.numeric for axis in MIXED.axes] == [True, False, False, False]


def test_every_point_comes_back_from_what_a_storage_keeps() -> None:
    for point in MIXED.points():
        kept = MIXED.params(point)
        assert all(isinstance(value, (int, float, str)) for value in kept.values())
        assert MIXED.point(kept) == point


def test_a_points_changes_reach_the_recipe() -> None:
    recipe = load_recipe("quickstart", ["method.name=sskt"])
    for point in MIXED.points():
        values = MIXED.values(point)
        if values["method.sources"]:
            method = with_overrides(recipe, MIXED.changes(point), "x").method.model_dump(mode="json")
            assert {f"method.{key}": value for key, value in method.items() if f"method.{key}" in values} == {
                key: value for key, value in values.items() if key.startswith("method.")
            }


@pytest.mark.parametrize("value", [1, 0.1, 1e-05, True, 'a"b\\c', "ü\x7f", ["a", 1], {"name": "adamw", "lr": [0.1]}])
def test_toml_comes_back(value: Any) -> None:
    text = toml_of(value)
    (axis,) = parse_space([f"some.key={text}"]).axes
    assert axis.values == (value,)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["method.alpha"], "expected KEY=V1,V2"),
        (["method.alpha="], "expected KEY=V1,V2"),
        (["=1,2"], "expected KEY=V1,V2"),
        (["method.alpha=1,1.0"], "a value occurs twice"),
        (["method.alpha=1", "method.alpha=2"], "each key once"),
        ([], "at least one"),
        (["train.seed=1,2"], "--seeds N"),
        (["data.validation=0.1,0.2"], "the same images"),
    ],
)
def test_what_is_no_space_is_refused(texts: list[str], said: str) -> None:
    with pytest.raises(StudyError, match=said):
        parse_space(texts)


@pytest.mark.parametrize("key", ["data.root", "data.per_class", "data.split_seed", "train.seed", "name"])
def test_what_changes_the_images_or_the_seed_is_not_swept(key: str) -> None:
    with pytest.raises(StudyError, match=f"--space '{key}=5,10': {key} cannot be swept: "):
        parse_space([f"{key}=5,10"])
