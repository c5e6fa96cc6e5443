"""What a comparison says, from figures that are known."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sskt_edge.common.errors import StudyError
from sskt_edge.common.json import as_json
from sskt_edge.recipe import load_recipe
from sskt_edge.study.arms import Arm
from sskt_edge.study.comparison import Comparison, RunFigures
from sskt_edge.study.comparison_text import markdown_of
from sskt_edge.study.draw_comparison import draw_comparison
from sskt_edge.tasks.score import Score
from sskt_edge.training.source_answers import SourceAnswers

RECIPE = load_recipe("flowers")
ONE = RunFigures(
    "run", 0.5, (0.46, 0.54), 736, 100.0, 5.0, 1000, 2000, {"the test images": "a", "the training images": "b"}
)


def comparison(**accuracies: Sequence[float | None]) -> Comparison:
    """Arms with an accuracy a seed; None where there is no run."""
    seeds = tuple(range(max(map(len, accuracies.values()))))
    made = Comparison(Path("studies/x"), RECIPE, "fp32", seeds, tuple(Arm(name, RECIPE) for name in accuracies))
    for name, values in accuracies.items():
        for seed, value in enumerate(values):
            if value is not None:
                made = made.having(name, seed, replace(ONE, value=value, run=f"{name}-{seed}"))
    return made


def test_only_pairs_of_one_seed_are_held_against_each_other() -> None:
    (one,) = comparison(a=[0.5, 0.6, None, 0.9], b=[0.6, None, 0.1, 0.8]).against
    assert one.differences == {0: pytest.approx(0.1), 3: pytest.approx(-0.1)}
    assert one.paired.n == 2
    assert one.paired.mean == pytest.approx(0)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.90, "The source itself is better than every arm: s with a linear layer, 90.0% (88.0% to 92.0%). A device"),
        (0.81, "The source itself is about as good as the best arm, b: s with a linear layer, 81.0% (79.0% to 83.0%)."),
        (0.79, "No source itself is better than b. The best is s with a linear layer, 79.0% (77.0% to 81.0%)."),
    ],
)
def test_a_source_is_better_only_if_its_interval_is(value: float, said: str) -> None:
    score = Score(metric="accuracy", images=736, value=value, interval=(value - 0.02, value + 0.02))
    answers = SourceAnswers("s", score, None, ())
    found = replace(comparison(a=[0.7, 0.7], b=[0.8, 0.8]), sources=(answers,), ms={"s": 9.0, "b": 1.5})
    (note,) = [note for note in found.notes if "linear layer" in note]
    assert note.startswith(said)
    assert ("It takes 9.00 ms for one image here, and b 1.50 ms." in note) == (value == 0.90)


def test_five_wins_of_five_are_better_and_their_mirror_worse() -> None:
    low, high = [0.50, 0.52, 0.51, 0.53, 0.50], [0.53, 0.54, 0.55, 0.56, 0.51]
    assert [one.word for one in comparison(a=low, b=high).against] == ["better"]
    assert [one.word for one in comparison(a=high, b=low).against] == ["worse"]


def test_with_two_arms_five_wins_of_five_are_not_enough_and_it_says_so() -> None:
    low, high = [0.50, 0.52, 0.51, 0.53, 0.50], [0.53, 0.54, 0.55, 0.56, 0.51]
    found = comparison(a=low, b=high, c=high)
    assert [one.p_better for one in found.against] == [2 / 32, 2 / 32]
    assert {one.word for one in found.against} == {"no difference shown"}
    assert "5 pairs are too few to show a difference for 2 arms; at least 6 seeds are needed." in found.notes
    more = comparison(a=[*low, 0.5], b=[*high, 0.6], c=[*high, 0.6])
    assert {one.word for one in more.against} == {"better"}
    assert not any("too few to show" in note for note in more.notes)


def test_few_pairs_are_indicative_at_most() -> None:
    found = comparison(a=[0.1] * 4, b=[0.9] * 4)
    assert found.against[0].word == "indicative: higher"
    assert "4 pairs are too few to show a difference; at least 5 seeds are needed." in markdown_of(found)


def test_the_error_of_one_accuracy_is_told() -> None:
    found = comparison(a=[0.67], b=[0.7])
    assert any("67.0% on 736 test images has a 95 % interval of" in note for note in found.notes)


def test_markdown_and_json_hold_every_seed() -> None:
    found = comparison(a=[0.5, 0.6], b=[0.55, None])
    text = markdown_of(found)
    assert "| 0 | 50.00 | 55.00 (+5.00) |" in text
    assert "| 1 | 60.00 | – |" in text
    assert "| a | 2 | 55.00 | 7.07 | 100 | 10 |" in text
    values = json.loads(json.dumps(as_json(found)))
    assert [run["value"] for run in values["arms"][0]["runs"]] == [0.5, 0.6]
    assert (values["arms"][0]["mean"], values["arms"][1]["sd"]) == (pytest.approx(0.55), None)
    assert values["against"]["arms"][0]["differences"] == [{"seed": 0, "difference": pytest.approx(0.05)}]


def test_networks_are_listed_with_their_costs_where_there_is_a_choice() -> None:
    one = comparison(a=[0.5, 0.6], b=[0.55, 0.65])
    assert "M MACs" not in markdown_of(one)
    larger = {seed: replace(run, macs=2_000_000) for seed, run in one.figures["b"].items()}
    found = replace(one, figures={**one.figures, "b": larger}, ms={"b": 1.5})
    text = markdown_of(found)
    assert "| network | accuracy, % | M parameters | M MACs | ms an image |" in text
    assert re.search(r"\| a \| 55\.00 \| 0\.00 \| \d+ \| – \|\n\| b \| 60\.00 \| 0\.00 \| 2 \| 1\.50 \|", text)
    assert json.loads(json.dumps(as_json(found)))["ms"] == {"b": 1.5}


def test_an_arm_that_is_left_out_stands_in_the_table_with_its_reason() -> None:
    made = comparison(a=[0.5], b=[0.6])
    found = replace(made, arms=(*made.arms, Arm("finetuned", RECIPE, missing="no weights")))
    assert "| finetuned | left out |" in markdown_of(found)
    assert "finetuned is left out: no weights" in markdown_of(found)
    assert [one.arm for one in found.against] == ["b"]


def test_a_comparison_without_its_first_arm_compares_nothing() -> None:
    made = comparison(b=[0.6])
    found = replace(made, arms=(Arm("finetuned", RECIPE, missing="no weights"), *made.arms))
    assert found.against == []
    assert "| b | 1 | 60.00 |" in markdown_of(found)


@pytest.mark.parametrize("what", ["the test images", "the training images"])
def test_runs_on_other_images_are_not_compared(what: str) -> None:
    made = comparison(a=[0.5], b=[0.6])
    made.refuse_unlike()
    other = made.having("b", 1, replace(ONE, run="late", inputs={**ONE.inputs, what: "other"}))
    with pytest.raises(StudyError, match=f"'a-0' and 'late' .* cannot be compared: {what} changed"):
        other.refuse_unlike()


def test_an_arm_that_asks_for_other_images_may_have_them() -> None:
    fewer = RECIPE.model_copy(update={"data": RECIPE.data.model_copy(update={"per_class": 5})})
    made = Comparison(Path("x"), RECIPE, "fp32", (0,), (Arm("a", RECIPE), Arm("few", fewer)))
    made = made.having("a", 0, ONE).having("few", 0, replace(ONE, inputs={**ONE.inputs, "the training images": "c"}))
    made.refuse_unlike()


@pytest.mark.slow
@pytest.mark.parametrize(
    "found",
    [
        comparison(a=[0.5], b=[0.6]),
        comparison(only=[0.5, 0.6]),
        comparison(a=[0.5, None, 0.6], b=[None, 0.7, 0.6], **{"$T$ is a rather long name": [0.5, 0.5, 0.5]}),
        comparison(**{"汉字": [0.5, 0.6]}),
    ],
)
def test_every_comparison_can_be_drawn(found: Comparison) -> None:
    picture = np.asarray(Image.open(io.BytesIO(draw_comparison(found))).convert("RGB"))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 10
    assert (picture[[0, -1]] == 255).all(), "nothing is cut off at the edge"
