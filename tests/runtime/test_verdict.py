from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from sskt_edge.recipe.load import parse_recipe
from sskt_edge.runtime.parity import Parity, compare
from sskt_edge.runtime.tolerances import Tolerances
from sskt_edge.runtime.verdict import verdict

RUNNER = "onnxruntime-cpu"
PRECISIONS = ("fp32", "fp16", "int8", "int8-cpu")
SETTING = re.compile(r"--set export\.parity\.(\S+)=(\S+) would pass")
RECIPE = 'name = "x"\ndata.name = "digits"\ntarget.model = "resnet20"\nsskt.method = "scratch"'


def parity_of(flips: int = 0, images: int = 100, apart: float = 0.0, scale: float = 1.0) -> Parity:
    """`images` images whose logits differ by `apart` at most, `flips` of them with another first class."""
    return Parity(images, apart, apart, (images - flips) / images, tuple(range(flips)), scale, 0)


def settings(reasons: list[str]) -> list[tuple[str, str]]:
    """The keys and values that the sentences say would pass."""
    found = [pair for reason in reasons for pair in SETTING.findall(reason)]
    assert len(found) == len(reasons), f"every sentence says what would pass: {reasons}"
    return found


def tolerances_of(*overrides: str) -> Tolerances:
    """What `sskt-edge export --set …` makes of them."""
    return parse_recipe(RECIPE, [f"export.parity.{override}" for override in overrides]).export.parity


def tighter(value: str, up: bool) -> str:
    """A number of three digits, one unit of its last digit nearer to what does not pass."""
    number = Decimal(value)
    unit = Decimal(1).scaleb(number.adjusted() - 2)
    return str(number - unit if up else number + unit)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_equal_logits_pass_at_the_tightest_tolerances(precision: str) -> None:
    tightest = Tolerances.model_validate(
        {
            "fp32_difference": {"onnxruntime_cpu": 1e-12},
            "fp16_top1_agreement": 1,
            "int8_top1_agreement": 1,
            "int8_accuracy_drop": 0,
        }
    )
    assert verdict(precision, RUNNER, parity_of(), tightest, drop=0.0) == []


def test_fp32_is_judged_by_the_largest_difference_as_a_share_of_the_largest_logit() -> None:
    allowed = tolerances_of("fp32_difference.onnxruntime_cpu=0.25")

    assert verdict("fp32", RUNNER, parity_of(apart=1.0, scale=4.0), allowed) == []
    assert verdict("fp32", RUNNER, parity_of(apart=math.nextafter(1.0, 2.0), scale=4.0), allowed) != []
    assert verdict("fp32", RUNNER, parity_of(apart=1.0, scale=4.0, flips=100), allowed) == []


def test_each_runner_has_its_own_fp32_tolerance() -> None:
    apart = parity_of(apart=5e-4)

    assert verdict("fp32", "onnxruntime-cpu", apart, Tolerances()) != []
    assert verdict("fp32", "openvino-cpu", apart, Tolerances()) != []
    assert verdict("fp32", "onnxruntime-cuda", apart, Tolerances()) == []
    assert verdict("fp32", "tensorrt-cuda", apart, Tolerances()) == []


@pytest.mark.parametrize(
    ("precision", "key"),
    [("fp16", "fp16_top1_agreement"), ("int8", "int8_top1_agreement"), ("int8-cpu", "int8_top1_agreement")],
)
def test_lower_precisions_are_judged_by_the_first_class(precision: str, key: str) -> None:
    allowed = tolerances_of(f"{key}=0.97")

    assert verdict(precision, RUNNER, parity_of(flips=3, apart=50.0), allowed, drop=0.0) == []
    (reason,) = verdict(precision, RUNNER, parity_of(flips=4), allowed, drop=0.0)
    assert "96.00% of 100 images have the trained network's class, 97.00% must" in reason
    assert verdict(precision, RUNNER, parity_of(flips=4), tolerances_of(f"{key}=0.96"), drop=0.0) == []


@pytest.mark.parametrize(
    ("images", "flips"),
    [
        (100, 11),  # 0.95 - 3·√(0.95·0.05/100) = 0.8846
        (10_000, 565),  # 0.95 - 3·√(0.95·0.05/10000) = 0.9435
    ],
)
def test_on_a_part_of_the_test_set_chance_is_allowed_for(images: int, flips: int) -> None:
    allowed = tolerances_of("int8_top1_agreement=0.95")

    assert verdict("int8", RUNNER, parity_of(flips, images), allowed) == []
    assert len(verdict("int8", RUNNER, parity_of(flips + 1, images), allowed)) == 1
    # On all of it there is none.
    assert len(verdict("int8", RUNNER, parity_of(flips, images), allowed, drop=0.0)) == 1


@pytest.mark.parametrize("share", ["0", "1"])
def test_shares_at_their_ends_leave_no_chance(share: str) -> None:
    allowed = tolerances_of(f"fp16_top1_agreement={share}")
    assert len(verdict("fp16", RUNNER, parity_of(flips=1), allowed)) == int(share)


def test_what_would_pass_on_a_part_of_the_test_set_allows_for_chance_too() -> None:
    """Of 200 images 190 agree on average where 95 % of all do; by chance 181 may, hardly 179."""
    assert verdict("int8", RUNNER, parity_of(flips=19, images=200), Tolerances()) == []
    (reason,) = verdict("int8", RUNNER, parity_of(flips=21, images=200), Tolerances())
    assert "89.50% of 200 images have the trained network's class, 95.00% must, and so few give" in reason
    assert len(verdict("int8", RUNNER, parity_of(flips=19, images=200), Tolerances(), drop=0.0)) == 1
    ((key, value),) = settings([reason])
    assert verdict("int8", RUNNER, parity_of(flips=21, images=200), tolerances_of(f"{key}={value}")) == []
    nearer = tighter(value, up=False)
    assert verdict("int8", RUNNER, parity_of(flips=21, images=200), tolerances_of(f"{key}={nearer}")) != []


@pytest.mark.parametrize(("precision", "counts"), [("int8", 1), ("int8-cpu", 1), ("fp16", 0), ("fp32", 0)])
def test_only_int8_is_judged_by_the_accuracy_that_it_costs(precision: str, counts: int) -> None:
    assert len(verdict(precision, RUNNER, parity_of(), Tolerances(), drop=0.5)) == counts
    assert verdict(precision, RUNNER, parity_of(), Tolerances(), drop=None) == []
    assert verdict(precision, RUNNER, parity_of(), Tolerances(), drop=-0.5) == []


@pytest.mark.parametrize(("before", "after", "images"), [(90, 89, 100), (180, 178, 200), (950, 940, 1000), (7, 6, 100)])
def test_a_loss_of_exactly_what_is_allowed_passes(before: int, after: int, images: int) -> None:
    # As measured: the difference of two shares, which in floating point may be a little more than a hundredth.
    drop = before / images - after / images

    assert verdict("int8", RUNNER, parity_of(), tolerances_of("int8_accuracy_drop=0.01"), drop) == []
    assert verdict("int8", RUNNER, parity_of(), tolerances_of("int8_accuracy_drop=0.0099"), drop) != []


def test_every_rule_that_is_broken_has_its_sentence() -> None:
    first, second = verdict("int8", RUNNER, parity_of(flips=50), Tolerances(), drop=0.25)
    assert first.startswith("50.00% of 100 images")
    assert second.startswith("accuracy is 25.00 points lower than the trained network's, allowed are 1.00 points")


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_fails_whatever_is_allowed(precision: str, bad: float) -> None:
    reference = np.array([[1, 2], [3, 4]], dtype=np.float32)
    other = np.array([[1, 2], [3, bad]], dtype=np.float32)
    widest = tolerances_of("fp32_difference.onnxruntime_cpu=1e300", "fp16_top1_agreement=0", "int8_top1_agreement=0")

    (reason,) = verdict(precision, RUNNER, compare(reference, other), widest)

    assert reason == "1 of 2 images have logits that are not finite numbers"


def random_logits(random: np.random.Generator) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Logits of any size, and others that are near or far."""
    images = int(random.integers(1, 400))
    reference = (random.standard_normal((images, 5)) * 10 ** random.uniform(-2, 6)).astype(np.float32)
    noise = random.standard_normal((images, 5)) * np.abs(reference).max() * 10 ** random.uniform(-7, 1)
    return reference, (reference + noise).astype(np.float32)


def cases() -> list[tuple[str, Parity, float]]:
    random = np.random.default_rng(0)
    found = []
    for number in range(300):
        parity = compare(*random_logits(random))
        images, lost = int(random.integers(1, 5000)), float(random.uniform(0, 1) ** 3)
        before, after = images - images // 9, int((1 - lost) * (images - images // 9))
        found.append((PRECISIONS[number % len(PRECISIONS)], parity, before / images - after / images))
    return found


def test_the_tolerance_that_is_said_to_pass_does_and_a_tighter_one_does_not() -> None:
    tight = ["fp32_difference.onnxruntime_cpu=1e-30", "fp16_top1_agreement=1", "int8_top1_agreement=1"]
    tight.append("int8_accuracy_drop=0")
    seen: dict[str, int] = {}
    for precision, parity, drop in cases():
        said = settings(verdict(precision, RUNNER, parity, tolerances_of(*tight), drop))

        given_back = tolerances_of(*(f"{key}={value}" for key, value in said))
        assert verdict(precision, RUNNER, parity, given_back, drop) == []
        assert verdict(precision, RUNNER, parity, given_back) == []
        for key, value in said:
            seen[key] = seen.get(key, 0) + 1
            assert len(Decimal(value).normalize().as_tuple().digits) <= 3
            others = [f"{other}={given}" for other, given in said if other != key]
            near = tighter(value, up="agreement" not in key)
            assert len(verdict(precision, RUNNER, parity, tolerances_of(*others, f"{key}={near}"), drop)) == 1, (
                key,
                near,
            )
    assert len(seen) == 4 and min(seen.values()) > 20, seen


@pytest.mark.parametrize("value", [0.0, 1e-9, 0.9999999])
def test_shares_at_their_ends_can_be_given_back(value: float) -> None:
    parity = Parity(100, 1.0, 1.0, value, (), 1.0, 0)
    ((key, text),) = settings(verdict("fp16", RUNNER, parity, tolerances_of("fp16_top1_agreement=1")))
    assert verdict("fp16", RUNNER, parity, tolerances_of(f"{key}={text}")) == []


@pytest.mark.parametrize(
    "runner", ["onnxruntime-cpu", "onnxruntime-cuda", "openvino-cpu", "tensorrt-cuda", "other-cpu"]
)
def test_what_would_pass_is_a_key_that_holds_for_the_runner(runner: str) -> None:
    parity = parity_of(apart=0.123456)
    ((key, value),) = settings(verdict("fp32", runner, parity, Tolerances()))
    wide: Any = tolerances_of(f"{key}={value}")
    assert verdict("fp32", runner, parity, wide) == []
