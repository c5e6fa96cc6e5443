"""A comparison in words and columns: the same cells for Markdown and for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sskt_edge.study.comparison import Comparison

ARM_HEAD = ("arm", "seeds", "mean, %", "sd", "every seed, %", "training, s", "parameters")


def arm_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """A row an arm, the columns of ARM_HEAD; an arm without a run has none of its figures."""
    rows: list[tuple[str, ...]] = []
    for arm in comparison.arms:
        found, over_seeds = comparison.figures.get(arm.name, {}), comparison.spreads.get(arm.name)
        if over_seeds is None:
            rows.append((arm.name, "0", "–", "–", "left out" if arm.missing else "none yet", "–", "–"))
            continue
        rows.append(
            (
                arm.name,
                str(over_seeds.n),
                f"{100 * over_seeds.mean:.2f}",
                "–" if over_seeds.sd is None else f"{100 * over_seeds.sd:.2f}",
                _every({seed: f"{100 * one.accuracy:.2f}" for seed, one in found.items()}, comparison.seeds),
                _seconds(sum(one.seconds for one in found.values()) / len(found)),
                f"{next(iter(found.values())).parameters:,}",
            )
        )
    return rows


def against_head(comparison: Comparison) -> tuple[str, ...]:
    """The columns of against_rows."""
    tested = "p (Holm)" if len(comparison.against) > 1 else "p"
    return (f"against {comparison.arms[0].name}", "pairs", "mean", "95 %", "every pair", tested, "p, worse", "")


def against_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """A row for each arm that is held against the first, differences in points."""
    rows: list[tuple[str, ...]] = []
    for one in comparison.against:
        between = one.paired.interval
        rows.append(
            (
                one.arm,
                str(one.paired.n),
                _points(one.paired.mean),
                "–" if between is None else f"{_points(between[0])} to {_points(between[1])}",
                _every({seed: _points(value) for seed, value in one.differences.items()}, comparison.seeds),
                f"{one.p_better:.3f}",
                f"{one.p_worse:.3f}",
                one.word,
            )
        )
    return rows


def title_of(comparison: Comparison) -> str:
    """One line: what is compared, over which seeds, in which precision."""
    seeds, names = comparison.seeds, ", ".join(arm.name for arm in comparison.arms)
    over = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {', '.join(map(str, seeds))}"
    return f"{comparison.recipe.name}: {names}; {over}; {comparison.precision}"


def markdown_of(comparison: Comparison) -> str:
    """The whole comparison as a Markdown document."""
    parts = [f"# {title_of(comparison)}", markdown_table(ARM_HEAD, arm_rows(comparison))]
    if comparison.against:
        parts.append(markdown_table(against_head(comparison), against_rows(comparison)))
        parts.append(
            "Differences in percentage points, pair by pair of the same seed. 95 %: of their mean, by Student's t over "
            " pairs; p: one-sided sign-flip test that the arm is better, then that it is worse."
        )
    lines = [*comparison.notes, *comparison.missing]
    lines += [f"{arm.name}: `{'` `'.join(arm.changes)}`" for arm in comparison.arms if arm.changes]
    parts.append("\n".join(f"- {' '.join(line.split())}" for line in lines))
    return "\n\n".join(parts) + "\n"


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column to the left, the others to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _every(values: dict[int, str], seeds: Sequence[int]) -> str:
    """Each seed's value in the order of the seeds, a dash where there is none."""
    return ", ".join(values.get(seed, "–") for seed in seeds)


def _points(share: float) -> str:
    """0.0312 → "+3.12"; U+2212 for minus, so that columns line up."""
    return f"{100 * share:+.2f}".replace("-", "−")


def _seconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
