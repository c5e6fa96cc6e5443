"""The plot of a comparison: one dot per run, one line per seed, and each arm's mean with its interval."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy import stats

from sskt_edge.study.statistics import Spread, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sskt_edge.study.comparison import Comparison


def draw_comparison(comparison: Comparison) -> bytes:
    """A PNG that shows the metric of every arm that has a run."""
    drawn = {arm.name: comparison.figures[arm.name] for arm in comparison.arms if arm.name in comparison.spreads}
    values = {name: {seed: one.value for seed, one in found.items()} for name, found in drawn.items()}
    return png_of(figure_of_arms(values, comparison.metric, comparison.recipe.name))


def figure_of_arms(values: Mapping[str, Mapping[int, float]], metric: str, what: str) -> Figure:
    """The figure of arms that were trained with several seeds.

    Args:
        values: arm → seed → its test metric, 0 to 1; an arm need not have every seed.
        metric: the name of the metric.
        what: what was trained; it begins the title.
    """
    figure = Figure(figsize=(max(4.5, 1.6 + 1.3 * len(values)), 4.2), layout="constrained")
    axes = figure.add_subplot()
    for seed in sorted({seed for found in values.values() for seed in found}):
        heights = [100 * found.get(seed, math.nan) for found in values.values()]
        axes.plot(range(len(values)), heights, "-o", color="0.72", linewidth=0.9, markersize=5, markerfacecolor="0.45")
    for place, found in enumerate(values.values()):
        _draw_mean(axes, place + 0.14, spread(list(found.values())))
    longest = max(len(line) for name in values for line in name.splitlines())
    # Names are plain text: a $ in them must not start a formula.
    axes.set_xticks(range(len(values)), list(values), parse_math=False, rotation=0 if longest <= 14 else 20)
    axes.set_xlim(-0.4, len(values) - 0.4)
    axes.set_ylabel(f"test {metric}, %")
    axes.grid(axis="y", color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    title = f"{what}: dots are runs, lines join a seed,\ndiamonds are means with 95 % intervals"
    axes.set_title(title, fontsize=9, loc="left", parse_math=False)
    return figure


def _draw_mean(axes: Axes, place: float, over_seeds: Spread) -> None:
    """A diamond with the interval of the mean and the mean in figures; without an interval if there is one run only."""
    half = 0.0
    if over_seeds.sd is not None:
        half = float(stats.t.ppf(0.975, over_seeds.n - 1)) * over_seeds.sd / math.sqrt(over_seeds.n)
    mean = 100 * over_seeds.mean
    axes.errorbar(place, mean, 100 * half, fmt="D", color="C0", capsize=4, markersize=6, linewidth=1.8)
    axes.annotate(
        f"{mean:.1f}", (place, mean), (8, 0),
        textcoords="offset points", va="center", color="C0", bbox={"facecolor": "w", "edgecolor": "none", "pad": 0.8},
    )  # fmt: skip


def png_of(figure: Figure) -> bytes:
    """The figure as a PNG, drawn without a display."""
    FigureCanvasAgg(figure)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the font may lack the script of a name
        figure.savefig(file, format="png", dpi=150)
    return file.getvalue()
