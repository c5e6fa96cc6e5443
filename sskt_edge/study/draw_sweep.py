"""The plot of a sweep: two numeric keys as in the paper's figure 4, otherwise one panel per key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sskt_edge.study.draw_comparison import png_of

if TYPE_CHECKING:
    from sskt_edge.study.space import Axis
    from sskt_edge.study.sweep_result import Sweep, Tried


def draw_sweep(sweep: Sweep) -> bytes:
    """A PNG that shows the metric on validation images over the values that were tried."""
    axes = sweep.space.axes
    if len(axes) == 2 and all(axis.numeric for axis in axes):
        figure = Figure(figsize=(5.4, 4.0), layout="constrained")
        _lines(sweep, figure.add_subplot())
    else:
        across = min(3, len(axes))
        down = -(-len(axes) // across)
        figure = Figure(figsize=(1.2 + 3.4 * across, 0.6 + 3.4 * down), layout="constrained")
        panels = figure.subplots(down, across, squeeze=False, sharey=True).ravel()
        for place, panel in enumerate(panels):
            if place < len(axes):
                _panel(sweep, place, panel)
            else:
                panel.set_visible(False)
        panels[0].set_ylabel(f"validation {sweep.metric}, %")
    over = f"mean ± sd over {len(sweep.seeds)} seeds" if len(sweep.seeds) > 1 else f"seed {sweep.seeds[0]}"
    figure.suptitle(f"{sweep.recipe.name}: last epoch, {over}", fontsize=9, x=0.02, ha="left", parse_math=False)
    return png_of(figure)


def _lines(sweep: Sweep, panel: Axes) -> None:
    """One line per value of the second key, over the first key, shifted sideways so that error bars do not overlap."""
    over, lines = sweep.space.axes
    for rank, number in enumerate(_order(lines)):
        shift = 0.08 * (rank - (len(lines.values) - 1) / 2)
        done = {one.point[0]: one for one in sweep.tried if one.over_seeds is not None and one.point[1] == number}
        places = [(x, done[value]) for x, value in enumerate(_order(over)) if value in done]
        panel.errorbar(
            [x + shift for x, _ in places],
            [_mean(one) for _, one in places],
            [_sd(one) for _, one in places],
            fmt="-o", capsize=3, markersize=5, linewidth=1.4, elinewidth=1,
            label=f"{lines.key.rpartition('.')[2]} = {lines.texts[number]}",
        )  # fmt: skip
    for text in panel.legend(fontsize=8, frameon=False).get_texts():
        text.set_parse_math(False)
    panel.set_ylabel(f"validation {sweep.metric}, %")
    _over(over, panel)


def _panel(sweep: Sweep, place: int, panel: Axes) -> None:
    """Every point over its value of one key, with the mean of all points with that value to the right."""
    axis = sweep.space.axes[place]
    means = []
    for x, number in enumerate(_order(axis)):
        done = [one for one in sweep.tried if one.over_seeds is not None and one.point[place] == number]
        heights = [_mean(one) for one in done]
        spots = [x - 0.25 + 0.3 * (rank + 0.5) / len(done) for rank in range(len(done))]
        panel.errorbar(spots, heights, [_sd(one) for one in done], fmt="o", color="0.55", markersize=4, elinewidth=1)
        if done:
            means.append((x + 0.18, sum(heights) / len(heights)))
    panel.plot(*zip(*means, strict=True), "-D", color="C0", markersize=6, linewidth=1.4)
    _over(axis, panel)


def _order(axis: Axis) -> list[int]:
    """The order of an axis's values from left to right: numbers ascend."""
    places = list(range(len(axis.values)))
    return sorted(places, key=axis.values.__getitem__) if axis.numeric else places


def _over(axis: Axis, panel: Axes) -> None:
    """Label the values on the horizontal axis with even spacing, since learning rates are powers of ten."""
    texts = [axis.texts[number] for number in _order(axis)]
    slanted = max(map(len, texts)) * len(texts) > 26
    panel.set_xticks(range(len(texts)), texts, parse_math=False, rotation=25 if slanted else 0)
    panel.set_xlim(-0.5, len(texts) - 0.5)
    panel.set_xlabel(axis.key, parse_math=False)
    panel.grid(axis="y", color="0.92")
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)


def _mean(one: Tried) -> float:
    return 100 * one.over_seeds.mean if one.over_seeds else 0.0


def _sd(one: Tried) -> float:
    return 100 * one.over_seeds.sd if one.over_seeds and one.over_seeds.sd is not None else 0.0
