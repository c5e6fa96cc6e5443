"""A comparison's figures and the conclusions that they allow, as values and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from sskt_edge.common.errors import StudyError
from sskt_edge.recipe.load import recipe_sha256
from sskt_edge.recipe.models import Recipe
from sskt_edge.study.arms import Arm
from sskt_edge.study.statistics import (
    FEWEST_PAIRS,
    Paired,
    Spread,
    holm,
    paired,
    pairs_needed,
    spread,
    verdict,
)
from sskt_edge.tasks.task import task_named
from sskt_edge.training.source_answers import SourceAnswers

T = TypeVar("T")


@dataclass(frozen=True)
class RunFigures:
    """The figures of one finished run.

    Attributes:
        run: its folder's name in the study's runs/.
        value: the task's metric on the test images, from 0 to 1.
        interval: its 95 % interval with respect to the choice of the images.
        images: the number of test images.
        seconds: the time of the training.
        label_seconds: the time of asking the sources before it; short if an earlier run had asked.
        parameters: the number of parameters of the stripped network.
        macs: the multiply-accumulates for one image.
        inputs: the images and sources that it was trained and tested on → their hashes.
        made_with: the machine, versions and engines of the training, which decide its last bits.
    """

    run: str
    value: float
    interval: tuple[float, float]
    images: int
    seconds: float
    label_seconds: float
    parameters: int
    macs: int
    inputs: dict[str, str]
    made_with: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PairedComparison:
    """An arm compared with the first one, pair by pair.

    Attributes:
        arm: its name.
        differences: seed → the metric of this arm minus the first arm's.
        paired: the statistics of the differences.
        p_better: paired.p_better with Holm's correction over all arms.
        p_worse: paired.p_worse with the same correction.
        word: "better", "worse", "no difference shown" or "indicative: …".
    """

    arm: str
    differences: dict[int, float]
    paired: Paired
    p_better: float
    p_worse: float
    word: str


@dataclass(frozen=True)
class Comparison:
    """A comparison of arms over the same seeds.

    Attributes:
        folder: the study's folder.
        recipe: the study's recipe, which the arms change.
        precision: the precision of all trainings, unless an arm sets another.
        seeds: the requested seeds.
        arms: the arms; the others are compared with the first.
        figures: arm → seed → the figures of its run, for finished runs.
        failed: arm → seed → why its run has no figures.
        sources: the answers of the sources themselves with a linear layer, the best first, if an arm fits one.
        ms: arm or source → the median milliseconds for one image here, in fp32, if there is a choice of networks.
    """

    folder: Path
    recipe: Recipe
    precision: str
    seeds: tuple[int, ...]
    arms: tuple[Arm, ...]
    figures: dict[str, dict[int, RunFigures]] = field(default_factory=dict)
    failed: dict[str, dict[int, str]] = field(default_factory=dict)
    sources: tuple[SourceAnswers, ...] = ()
    ms: dict[str, float] = field(default_factory=dict)

    def having(self, arm: str, seed: int, found: RunFigures) -> Comparison:
        """Add the figures of one run. Arms keep their order and seeds are sorted, in whatever order the runs end."""
        return replace(self, figures=self._in_order({**self.figures, arm: {**self.figures.get(arm, {}), seed: found}}))

    def failing(self, arm: str, seed: int, why: str) -> Comparison:
        """Add a run that has no figures."""
        return replace(self, failed=self._in_order({**self.failed, arm: {**self.failed.get(arm, {}), seed: why}}))

    @property
    def metric(self) -> str:
        """The task's metric: "accuracy" or "mAP"."""
        return task_named(self.recipe.task.name).metric

    @cached_property
    def spreads(self) -> dict[str, Spread]:
        """Arm → mean and standard deviation of its values, for arms that have any."""
        return {arm: spread([one.value for one in found.values()]) for arm, found in self.figures.items() if found}

    @cached_property
    def against(self) -> list[PairedComparison]:
        """The comparison of every other arm that shares a seed with the first one."""
        first, *others = self.arms
        pairs = {arm.name: self._differences(first.name, arm.name) for arm in others}
        tested = {name: paired(list(found.values())) for name, found in pairs.items() if found}
        better = holm([one.p_better for one in tested.values()])
        worse = holm([one.p_worse for one in tested.values()])
        return [
            PairedComparison(name, pairs[name], one, high, low, verdict(one.n, one.mean, high, low))
            for (name, one), high, low in zip(tested.items(), better, worse, strict=True)
        ]

    @property
    def missing(self) -> list[str]:
        """A sentence for every arm, or seed of an arm, that will stay missing."""
        arms = [f"{arm.name} is left out: {arm.missing}" for arm in self.arms if arm.missing]
        return arms + [
            f"{arm}, seed {seed}, is missing: {why}"
            for arm, found in self.failed.items()
            for seed, why in found.items()
        ]

    @property
    def notes(self) -> list[str]:
        """Remarks that keep a reader from concluding more from the table than it shows."""
        return [
            note
            for note in (
                self._what_counts(),
                self._sampling_error(),
                self._pairs(),
                self._made_with(),
                self._source_itself(),
            )
            if note
        ]

    @property
    def has_choice_of_networks(self) -> bool:
        """Whether the arms, or the sources that were tested, are different networks."""
        costs = {(one.parameters, one.macs) for found in self.figures.values() for one in found.values()}
        return bool(self.sources) or len(costs) > 1

    @property
    def seeds_needed(self) -> int:
        """The fewest seeds with which an arm could be shown to be better than the first; 0 if none was compared."""
        return pairs_needed(len(self.against)) if self.against else 0

    def refuse_unlike(self) -> None:
        """Refuse runs with the same [data] and [[sources]] that did not see the same images and sources.

        Raises:
            StudyError: two runs differ.
        """
        seen: dict[tuple[str, str], tuple[str, str]] = {}
        for arm in self.arms:
            for one in self.figures.get(arm.name, {}).values():
                for what, digest in one.inputs.items():
                    # An arm that asks for other images or sources is expected to differ.
                    asked = str(next((s for s in arm.recipe.sources if s.name == what), arm.recipe.data))
                    other, run = seen.setdefault((what, asked), (digest, one.run))
                    if other != digest:
                        raise StudyError(
                            f"The runs '{run}' and '{one.run}' of '{self.folder / 'runs'}' cannot be compared: "
                            f"{what} changed between them. Move the older ones elsewhere, or name another folder, "
                            f"--studies."
                        )

    def as_json(self) -> dict[str, Any]:
        """The comparison as values for JSON, with the metric from 0 to 1."""
        return {
            "name": self.recipe.name,
            "recipe_sha256": recipe_sha256(self.recipe),
            "folder": self.folder,
            "precision": self.precision,
            "metric": self.metric,
            "seeds": self.seeds,
            "arms": [self._arm_as_json(arm) for arm in self.arms],
            "against": {"arm": self.arms[0].name, "arms": [_against_as_json(one) for one in self.against]},
            "sources": self.sources,
            "ms": self.ms,
            "notes": self.notes,
            "missing": self.missing,
        }

    def _in_order(self, by_arm: dict[str, dict[int, T]]) -> dict[str, dict[int, T]]:
        return {arm.name: dict(sorted(by_arm[arm.name].items())) for arm in self.arms if arm.name in by_arm}

    def _differences(self, first: str, other: str) -> dict[int, float]:
        ours, theirs = self.figures.get(other, {}), self.figures.get(first, {})
        return {seed: ours[seed].value - theirs[seed].value for seed in self.seeds if seed in ours.keys() & theirs}

    def _arm_as_json(self, arm: Arm) -> dict[str, Any]:
        found = self.figures.get(arm.name, {})
        over_seeds = self.spreads.get(arm.name)
        runs = [
            {
                "seed": seed,
                "run": one.run,
                "value": one.value,
                "images": one.images,
                "seconds": one.seconds,
                "label_seconds": one.label_seconds,
            }
            for seed, one in found.items()
        ]
        any_run = next(iter(found.values()), None)
        return {
            "name": arm.name,
            "changes": arm.changes,
            "n": len(found),
            "mean": over_seeds and over_seeds.mean,
            "sd": over_seeds and over_seeds.sd,
            "parameters": any_run and any_run.parameters,
            "macs": any_run and any_run.macs,
            "seconds": sum(one.seconds for one in found.values()) / len(found) if found else None,
            "runs": runs,
        }

    def _what_counts(self) -> str:
        kept = {arm.recipe.train.keep for arm in self.arms if not arm.missing}
        what = {"last": "after its last epoch", "best": f"with the weights of the best validation {self.metric}"}
        said = what[kept.pop()] if len(kept) == 1 else "with the weights that its own train.keep selects"
        return f"Each run is tested once, {said}."

    def _sampling_error(self) -> str:
        every = [one for found in self.figures.values() for one in found.values()]
        if not every:
            return ""
        one = every[0]
        low, high = one.interval
        return (
            f"An {self.metric} of {one.value:.1%} on {one.images:,} test images has a 95 % interval of {low:.1%} to "
            f"{high:.1%} from the choice of the images alone."
        )

    def _made_with(self) -> str:
        every = [one.made_with for found in self.figures.values() for one in found.values()]
        differing = _differing(every)
        if not differing:
            return ""
        return f"The runs differ in their conditions, which alone can move a result: {'; '.join(differing)}."

    def _source_itself(self) -> str:
        """Whether a source itself would be the better answer."""
        if not self.sources or not self.spreads:
            return ""
        first, best = self.sources[0], max(self.spreads, key=lambda name: self.spreads[name].mean)
        low, high = first.test.interval
        said = f"{first.name} with a linear layer, {first.test.value:.1%} ({low:.1%} to {high:.1%})"
        if first.test.value <= self.spreads[best].mean:
            return f"No source itself is better than {best}. The best is {said}."
        if low <= self.spreads[best].mean:
            return f"The source itself is about as good as the best arm, {best}: {said}."
        times = [self.ms.get(name) for name in (first.name, best)]
        slower = f" It takes {times[0]:.2f} ms for one image here, and {best} {times[1]:.2f} ms." if all(times) else ""
        return (
            f"The source itself is better than every arm: {said}. A device that can afford it does not need a smaller "
            f"network.{slower}"
        )

    def _pairs(self) -> str:
        if len(self.arms) == 1:
            return "There is only one arm, so nothing is compared. Add arms with --method or --arm."
        if not self.against:
            return ""
        fewest, needed = min(one.paired.n for one in self.against), self.seeds_needed
        if fewest >= needed:
            return (
                "p is valid only if the number of seeds was fixed beforehand. Adding seeds until the result is better "
                "inflates the false-positive rate above one in twenty."
            )
        arms = f" for {len(self.against)} arms" if needed > FEWEST_PAIRS else ""
        return (
            f"{fewest} pair{'s are' if fewest > 1 else ' is'} too few to show a difference{arms}; "
            f"at least {needed} seeds are needed."
        )


def _differing(told: Sequence[Mapping[str, str]]) -> list[str]:
    """A line such as "torch 2.6.0, 2.14.1" for each name that has more than one value."""
    values: dict[str, set[str]] = {}
    for one in told:
        for name, value in one.items():
            values.setdefault(name, set()).add(value)
    return [f"{name} {', '.join(sorted(found))}" for name, found in sorted(values.items()) if len(found) > 1]


def _against_as_json(one: PairedComparison) -> dict[str, Any]:
    return {
        "name": one.arm,
        "n": one.paired.n,
        "differences": [{"seed": seed, "difference": value} for seed, value in one.differences.items()],
        "mean": one.paired.mean,
        "interval": one.paired.interval,
        "p_better": one.paired.p_better,
        "p_worse": one.paired.p_worse,
        "p_better_holm": one.p_better,
        "p_worse_holm": one.p_worse,
        "verdict": one.word,
    }
