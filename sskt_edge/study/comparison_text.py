"""A comparison as text: the same tables for Markdown and for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from sskt_edge.study.comparison import Comparison

# A header, and rows with the same number of cells.
Table = tuple[Sequence[str], Sequence[Sequence[str]]]


def tables_of(comparison: Comparison) -> list[Table]:
    """The tables: arms with their costs, every seed, and the arms against the first if there are pairs."""
    tables = [_arms(comparison), _seeds(comparison)]
    tables += [_against(comparison)] if comparison.against else []
    return [*tables, _networks(comparison)] if comparison.has_choice_of_networks else tables


def title_of(comparison: Comparison) -> str:
    """One line that says what is compared, over which seeds, and in which precision."""
    seeds, names = comparison.seeds, ", ".join(arm.name for arm in comparison.arms)
    over = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {', '.join(map(str, seeds))}"
    return f"{comparison.recipe.name}: {names}; {over}; {comparison.precision}"


def notes_of(comparison: Comparison) -> list[str]:
    """The notes below the tables."""
    explained = (
        "Differences are in percentage points, between runs with the same seed. 95 %: the interval of their mean, by "
        "Student's t. p: a one-sided sign-flip test that the arm is better, then that it is worse."
    )
    costs = "s a training: the mean. s of labels: the time of querying the sources, for all seeds together."
    networks = (
        "A source is its network with a linear layer on top, tested once, with the 95 % interval by the choice of the "
        "images. MACs: multiply-accumulates for an image; ms: the median for one image, ONNX Runtime in fp32, here."
    )
    return [
        *([explained] if comparison.against else []),
        costs,
        *([networks] if comparison.has_choice_of_networks else []),
        *comparison.notes,
        *comparison.missing,
    ]


def markdown_of(comparison: Comparison) -> str:
    """The whole comparison as a Markdown document."""
    parts = [f"# {title_of(comparison)}", *(markdown_table(*table) for table in tables_of(comparison))]
    lines = notes_of(comparison)
    lines += [f"{arm.name}: `{'` `'.join(arm.changes)}`" for arm in comparison.arms if arm.changes]
    parts.append("\n".join(f"- {' '.join(line.split())}" for line in lines))
    return "\n\n".join(parts) + "\n"


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose first column is left-aligned and the others right-aligned."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _arms(comparison: Comparison) -> Table:
    rows: list[tuple[str, ...]] = []
    for arm in comparison.arms:
        found, over_seeds = comparison.figures.get(arm.name, {}), comparison.spreads.get(arm.name)
        if over_seeds is None:
            rows.append((arm.name, "left out" if arm.missing else "0", *["–"] * 4))
            continue
        rows.append(
            (
                arm.name,
                str(over_seeds.n),
                f"{100 * over_seeds.mean:.2f}",
                "–" if over_seeds.sd is None else f"{100 * over_seeds.sd:.2f}",
                _seconds(sum(one.seconds for one in found.values()) / len(found)),
                _seconds(sum(one.label_seconds for one in found.values())),
            )
        )
    return ("arm", "seeds", f"{comparison.metric}, %", "sd", "s a training", "s of labels"), rows


def _seeds(comparison: Comparison) -> Table:
    """One row per seed; after a value comes its difference from the first arm's value."""
    names = [arm.name for arm in comparison.arms if not arm.missing]
    differences = {one.arm: one.differences for one in comparison.against}
    rows = []
    for seed in comparison.seeds:
        row = [str(seed)]
        for name in names:
            one = comparison.figures.get(name, {}).get(seed)
            pair = differences.get(name, {}).get(seed)
            row.append("–" if one is None else f"{100 * one.value:.2f}")
            row[-1] += "" if pair is None else f" ({_points(pair)})"
        rows.append(row)
    return ("seed", *names), rows


def _against(comparison: Comparison) -> Table:
    tested = "p (Holm)" if len(comparison.against) > 1 else "p"
    rows: list[tuple[str, ...]] = []
    for one in comparison.against:
        between = one.paired.interval
        rows.append(
            (
                one.arm,
                str(one.paired.n),
                _points(one.paired.mean),
                "–" if between is None else f"{_points(between[0])} to {_points(between[1])}",
                f"{one.p_better:.3f}",
                f"{one.p_worse:.3f}",
                one.word,
            )
        )
    return (f"against {comparison.arms[0].name}", "pairs", "mean", "95 %", tested, "p, worse", ""), rows


def _networks(comparison: Comparison) -> Table:
    """What could be shipped: the network of each arm, then each source with a linear layer."""
    rows = []
    for name, over_seeds in comparison.spreads.items():
        any_run = next(iter(comparison.figures[name].values()))
        costs = (f"{any_run.parameters / 1e6:.2f}", f"{any_run.macs / 1e6:,.0f}")
        rows.append((name, f"{100 * over_seeds.mean:.2f}", *costs, _ms(comparison, name)))
    for one in comparison.sources:
        low, high = one.test.interval
        costs = ("–", "–") if one.cost is None else (f"{one.cost.parameters / 1e6:.2f}", f"{one.cost.macs / 1e6:,.0f}")
        value = f"{100 * one.test.value:.2f} ({100 * low:.1f}–{100 * high:.1f})"
        rows.append((f"source {one.name}", value, *costs, _ms(comparison, one.name)))
    return ("network", f"{comparison.metric}, %", "M parameters", "M MACs", "ms an image"), rows


def _ms(comparison: Comparison, name: str) -> str:
    return f"{comparison.ms[name]:.2f}" if name in comparison.ms else "–"


def _points(share: float) -> str:
    """0.0312 → "+3.12"; U+2212 for minus, so that columns line up."""
    return f"{100 * share:+.2f}".replace("-", "−")


def _seconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
