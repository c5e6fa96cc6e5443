from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.run import Verb
from tests.conftest import RECIPE

TARGETS = "resnet20@16"


@pytest.mark.slow
def test_a_front_ends_with_what_to_ship(verb: Verb, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(RECIPE)
    words = ("front", "mine.toml", "--targets", TARGETS, "--set", "train.precision=fp32")
    code, said, errors = verb(*words, "--ms", "1e6", columns=80)
    assert code == 0, errors
    assert "fastest first" in said and "smallest first" in said and "resnet20@16" in said
    assert "below the limits" in said and "next: sskt-edge eval studies/tiny-" in said
    (recipe,) = (tmp_path / "studies").glob("tiny-*/runs/*/recipe.toml")
    assert "".join(f"sskt-edge compare {recipe.relative_to(tmp_path)}".split()) in "".join(said.split())
    assert max(map(len, said.splitlines()[:8])) <= 80
    code, told, errors = verb(*words, "--json", "--mb", "0.001")
    assert code == 0, errors
    assert {one["target"] for one in json.loads(told)["points"]} == {TARGETS}
    _, said, _ = verb(*words, "--mb", "0.001")
    assert "no file" in said

    (bundle,) = (tmp_path / "studies").glob("tiny-*/bundles/*")
    code, report, errors = verb("bench", str(bundle), "--batch", "1", "--runs", "20", "--json")
    assert code == 0, errors
    (tmp_path / "device.json").write_text(report)
    measured = ("front", "mine.toml", "--targets", TARGETS, "--bench", "resnet20@16=device.json")
    code, said, errors = verb(*measured, *words[4:], "--json")
    assert code == 0, errors
    told = json.loads(said)
    expected = {one["latency"]["p50_ms"] for one in json.loads(report)["measurements"]}
    assert {one["latency_ms"] for one in told["points"]} == expected and "device.json" in told["measured_on"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--targets", "resnet2O@16"), "unknown target 'resnet2O'"),
        (("--targets", TARGETS, "--bench", "a.json"), "expected NAME@SIZE=FILE"),
        (("--targets", TARGETS, "--bench", "resnet20@64=a.json"), "with one of resnet20@16"),
        (
            ("--targets", TARGETS, "--bench", "resnet20@16=a.json", "--bench", "resnet20@16=b.json"),
            "already has the report 'a.json'",
        ),
    ],
)
def test_what_front_does_not_take_is_one_message(words: tuple[str, ...], said: str, verb: Verb, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(RECIPE)
    code, shown, errors = verb("front", "mine.toml", *words)
    assert (code, shown, said in errors) == (2, "", True), errors
    assert [path.name for path in tmp_path.iterdir()] == ["mine.toml"]
