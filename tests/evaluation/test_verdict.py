from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from sskt_edge.evaluation.parity import Parity, compare_logits
from sskt_edge.evaluation.verdict import Verdict
from sskt_edge.evaluation.verdict import verdict as verdict_for
from sskt_edge.recipe.load import parse_recipe
from sskt_edge.tasks.accuracy import paired_drop
from sskt_edge.tasks.multi_label import MULTI_LABEL
from sskt_edge.tasks.single_label import SINGLE_LABEL
from sskt_edge.tasks.task import Agreement, Drop
from sskt_edge.tasks.tolerances import Tolerances

RUNNER = "onnxruntime-cpu"
PRECISIONS = ("fp32", "fp16", "int8", "int8-cpu")
SETTING = re.compile(r"--set export\.parity\.(\S+)=(\S+) would pass")
RECIPE = 'name = "x"\ndata.name = "digits"\ntarget.model = "resnet20"\nmethod.name = "scratch"'


def parity_of(flips: int = 0, images: int = 100, apart: float = 0.0, scale: float = 1.0) -> Parity:
    """`images` images whose logits differ by `apart` at most, `flips` of them with another first class."""
    return Parity(apart, apart, Agreement(images, images, images - flips, tuple(range(flips))), scale, 0)


def verdict(precision: str, runner: str, parity: Parity, allowed: Tolerances, drop: Drop | None = None) -> Verdict:
    return verdict_for(precision, runner, parity, allowed, SINGLE_LABEL, drop)


def reasons_of(precision: str, parity: Parity, allowed: Tolerances, drop: Drop | None = None) -> list[str]:
    return verdict(precision, RUNNER, parity, allowed, drop).reasons


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
def test_equal_logits_are_never_out_of_tolerance(precision: str) -> None:
    tightest = Tolerances.model_validate(
        {
            "fp32_difference": {"onnxruntime_cpu": 1e-12},
            "fp16_agreement": 1,
            "int8_agreement": 1,
            "int8_metric_drop": 0,
        }
    )
    assert reasons_of(precision, parity_of(), tightest, paired_drop(100, 0, 0)) == []


def test_fp32_is_judged_by_its_difference_per_largest_logit() -> None:
    allowed = tolerances_of("fp32_difference.onnxruntime_cpu=0.25")

    assert reasons_of("fp32", parity_of(apart=1.0, scale=4.0), allowed) == []
    assert reasons_of("fp32", parity_of(apart=math.nextafter(1.0, 2.0), scale=4.0), allowed) != []
    assert reasons_of("fp32", parity_of(apart=1.0, scale=4.0, flips=100), allowed) == []


def test_each_runner_has_its_own_fp32_tolerance() -> None:
    apart = parity_of(apart=5e-4)

    assert verdict("fp32", "onnxruntime-cpu", apart, Tolerances()).reasons != []
    assert verdict("fp32", "openvino-cpu", apart, Tolerances()).reasons != []
    assert verdict("fp32", "onnxruntime-cuda", apart, Tolerances()).reasons == []
    assert verdict("fp32", "tensorrt-cuda", apart, Tolerances()).reasons == []


@pytest.mark.parametrize(
    ("precision", "key"),
    [("fp16", "fp16_agreement"), ("int8", "int8_agreement"), ("int8-cpu", "int8_agreement")],
)
@pytest.mark.parametrize(
    ("images", "flips", "shown"),
    [
        (736, 25, "holds"),  # 0.05 - 1.96·√(0.95·0.05/736) = 0.0343, which are 25.2 images
        (736, 26, "too few"),
        (736, 48, "too few"),  # 0.05 + 1.96·√(0.95·0.05/736) = 0.0657, which are 48.4 images
        (736, 49, "out"),
        (48, 0, "too few"),
        (48, 1, "too few"),
        (48, 5, "too few"),
        (48, 6, "out"),
        (10_000, 457, "holds"),
        (10_000, 543, "out"),
    ],
)
def test_a_share_is_judged_by_what_its_interval_shows(
    precision: str, key: str, images: int, flips: int, shown: str
) -> None:
    """Against a budget of 95 %."""
    found = verdict(precision, RUNNER, parity_of(flips, images, apart=50.0), tolerances_of(f"{key}=0.95"))

    assert (bool(found.reasons), bool(found.undecided)) == (shown == "out", shown == "too few")
    for sentence in (*found.reasons, *found.undecided):
        assert f"{images - flips} of {images} images have the trained network's class, 95 % interval" in sentence
        assert "budget 95 %" in sentence


def test_one_flipped_image_of_few_refuses_nothing_and_claims_nothing() -> None:
    found = verdict("int8", RUNNER, parity_of(1, 48), Tolerances(), paired_drop(48, 1, 0))

    assert found.reasons == []
    agreement, accuracy = found.undecided
    assert agreement == (
        "too few images to tell: 47 of 48 images have the trained network's class, 95 % interval 89.1–99.6 %, "
        "budget 95 %"
    )
    assert "accuracy is 2.08 points lower" in accuracy and "budget 1 point" in accuracy


@pytest.mark.parametrize(("share", "out"), [("0", False), ("1", True)])
def test_a_single_flip_shows_that_not_all_agree(share: str, out: bool) -> None:
    assert bool(reasons_of("fp16", parity_of(flips=1), tolerances_of(f"fp16_agreement={share}"))) is out


@pytest.mark.parametrize(
    ("drop", "shown"),
    [
        (paired_drop(736, 0, 0), "holds"),
        (paired_drop(736, 4, 4), "holds"),
        (paired_drop(736, 8, 2), "too few"),
        (paired_drop(736, 20, 1), "out"),
        (paired_drop(736, 1, 30), "holds"),
        (paired_drop(48, 0, 0), "too few"),
        (paired_drop(48, 9, 0), "out"),
        (paired_drop(10_000, 50, 20), "holds"),
        (paired_drop(10_000, 160, 20), "out"),
    ],
)
def test_the_accuracy_that_int8_costs_is_judged_by_its_interval(drop: Drop, shown: str) -> None:
    for precision in ("int8", "int8-cpu"):
        found = verdict(precision, RUNNER, parity_of(images=10_000), Tolerances(), drop)
        assert (bool(found.reasons), bool(found.undecided)) == (shown == "out", shown == "too few")
    for precision in ("fp16", "fp32"):
        assert verdict(precision, RUNNER, parity_of(images=10_000), Tolerances(), drop) == ([], [])
    assert verdict("int8", RUNNER, parity_of(images=10_000), Tolerances(), None) == ([], [])


def test_every_rule_that_is_broken_has_its_sentence() -> None:
    first, second = reasons_of("int8", parity_of(flips=50), Tolerances(), paired_drop(100, 30, 5))
    assert first.startswith("50 of 100 images")
    assert second.startswith("on 100 images accuracy is 25.00 points lower") and "budget 1 point" in second


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_fails_whatever_is_allowed(precision: str, bad: float) -> None:
    reference = np.array([[1, 2], [3, 4]], dtype=np.float32)
    other = np.array([[1, 2], [3, bad]], dtype=np.float32)
    widest = tolerances_of("fp32_difference.onnxruntime_cpu=1e300", "fp16_agreement=0", "int8_agreement=0")

    (reason,) = reasons_of(precision, compare_logits(reference, other, SINGLE_LABEL), widest)

    assert reason == "1 of 2 images have logits that are not finite numbers"


def random_logits(random: np.random.Generator) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Logits of any size, and others that are near or far."""
    images = int(random.integers(1, 400))
    reference = (random.standard_normal((images, 5)) * 10 ** random.uniform(-2, 6)).astype(np.float32)
    noise = random.standard_normal((images, 5)) * np.abs(reference).max() * 10 ** random.uniform(-7, 1)
    return reference, (reference + noise).astype(np.float32)


def cases() -> list[tuple[str, Parity, Drop]]:
    random = np.random.default_rng(0)
    found = []
    for number in range(300):
        parity = compare_logits(*random_logits(random), SINGLE_LABEL)
        images = int(random.integers(1, 5000))
        lost = int(images * random.uniform(0, 1) ** 3)
        found.append((PRECISIONS[number % len(PRECISIONS)], parity, paired_drop(images, lost, (images - lost) // 9)))
    return found


def test_the_tolerance_that_is_said_to_pass_does_a_tighter_does_not() -> None:
    tight = ["fp32_difference.onnxruntime_cpu=1e-30", "fp16_agreement=1", "int8_agreement=1"]
    tight.append("int8_metric_drop=0")
    seen: dict[str, int] = {}
    for precision, parity, drop in cases():
        said = settings(reasons_of(precision, parity, tolerances_of(*tight), drop))

        given_back = tolerances_of(*(f"{key}={value}" for key, value in said))
        assert reasons_of(precision, parity, given_back, drop) == []
        assert reasons_of(precision, parity, given_back) == []
        for key, value in said:
            seen[key] = seen.get(key, 0) + 1
            assert len(Decimal(value).normalize().as_tuple().digits) <= 3
            others = [f"{other}={given}" for other, given in said if other != key]
            near = tighter(value, up="agreement" not in key)
            assert len(reasons_of(precision, parity, tolerances_of(*others, f"{key}={near}"), drop)) == 1, (
                key,
                near,
            )
    assert len(seen) == 4 and min(seen.values()) > 20, seen


@pytest.mark.parametrize("flips", [10**9, 10**9 - 1, 100])
def test_shares_at_their_ends_can_be_given_back(flips: int) -> None:
    parity = Parity(1.0, 1.0, Agreement(100, 10**9, 10**9 - flips, ()), 1.0, 0)
    ((key, text),) = settings(reasons_of("fp16", parity, tolerances_of("fp16_agreement=1")))
    assert reasons_of("fp16", parity, tolerances_of(f"{key}={text}")) == []


@pytest.mark.parametrize(
    "runner", ["onnxruntime-cpu", "onnxruntime-cuda", "openvino-cpu", "tensorrt-cuda", "other-cpu"]
)
def test_what_would_pass_is_a_key_that_holds_for_the_runner(runner: str) -> None:
    parity = parity_of(apart=0.123456)
    ((key, value),) = settings(verdict("fp32", runner, parity, Tolerances()).reasons)
    wide: Any = tolerances_of(f"{key}={value}")
    assert verdict("fp32", runner, parity, wide).reasons == []


@pytest.mark.parametrize(("flips", "shown"), [(0, "holds"), (18, "out")])
def test_several_classes_are_judged_by_decisions_and_mean_ap(flips: int, shown: str) -> None:
    """The interval of the share counts images, not their five decisions each."""
    parity = Parity(9.0, 1.0, Agreement(100, 500, 500 - 5 * flips, tuple(range(flips))), 10.0, 0)
    drop = Drop(100, 0.01 * flips, (0.01 * flips - 0.005, 0.01 * flips + 0.005))
    found = verdict_for("int8", RUNNER, parity, tolerances_of("int8_agreement=0.94"), MULTI_LABEL, drop)

    assert bool(found.reasons) == (shown == "out") and found.undecided == []
    assert all(said in " ".join(found.reasons) for said in ("410 of 500 decisions", "mAP is 18.00 points")) or not flips
