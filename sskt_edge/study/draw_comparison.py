"""The plot of a comparison: one dot per run, one line per seed, and each arm's mean with its interval."""

from __future__ import annotations

import io
import math
import warnings
from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from scipy import stats

if TYPE_CHECKING:
    from sskt_edge.study.comparison import Comparison


def draw_comparison(comparison: Comparison) -> bytes:
    """A PNG that shows the metric of every arm that has a run."""
    names = [arm.name for arm in comparison.arms if arm.name in comparison.spreads]
    figure = Figure(figsize=(max(4.5, 1.6 + 1.3 * len(names)), 4.2), layout="constrained")
    axes = figure.add_subplot()
    for seed in comparison.seeds:
        line = [comparison.figures[name].get(seed) for name in names]
        heights = [math.nan if one is None else 100 * one.value for one in line]
        axes.plot(range(len(names)), heights, "-o", color="0.72", linewidth=0.9, markersize=5, markerfacecolor="0.45")
    for place, name in enumerate(names):
        over_seeds = comparison.spreads[name]
        half = 0.0
        if over_seeds.sd is not None:
            half = float(stats.t.ppf(0.975, over_seeds.n - 1)) * over_seeds.sd / math.sqrt(over_seeds.n)
        axes.errorbar(
            place + 0.14, 100 * over_seeds.mean, 100 * half, fmt="D", color="C0", capsize=4, markersize=6, linewidth=1.8
        )
        axes.annotate(
            f"{100 * over_seeds.mean:.1f}", (place + 0.14, 100 * over_seeds.mean), (8, 0),
            textcoords="offset points", va="center", color="C0", path_effects=[withStroke(linewidth=3, foreground="w")],
        )  # fmt: skip
    # Names are plain text: a $ in them must not start a formula.
    axes.set_xticks(range(len(names)), names, parse_math=False, rotation=0 if max(map(len, names)) <= 14 else 20)
    axes.set_xlim(-0.4, len(names) - 0.4)
    axes.set_ylabel(f"test {comparison.metric}, %")
    axes.grid(axis="y", color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    title = f"{comparison.recipe.name}: dots are runs, lines join a seed,\ndiamonds are means with 95 % intervals"
    axes.set_title(title, fontsize=9, loc="left", parse_math=False)
    return png_of(figure)


def png_of(figure: Figure) -> bytes:
    """The figure as a PNG, drawn without a display."""
    FigureCanvasAgg(figure)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the font may lack the script of a name
        figure.savefig(file, format="png", dpi=150)
    return file.getvalue()
