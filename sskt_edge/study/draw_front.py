"""The plot of a front: accuracy over latency and over size, one colour a target, one mark a precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from sskt_edge.study.draw_comparison import png_of

if TYPE_CHECKING:
    from sskt_edge.study.front_result import Front, FrontPoint

_MARKS = {"fp32": "o", "fp16": "s", "int8": "D", "int8-cpu": "^"}
_OTHER = "v"


def draw_front(front: Front) -> bytes:
    """A PNG with two panels, and a line along the points that no other surpasses."""
    figure = Figure(figsize=(9.6, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    _panel(front, left, lambda point: point.latency_ms, front.by_latency)
    _panel(front, right, lambda point: point.bytes / 1e6, front.by_size)
    # The names of many reports are longer than a panel is wide; front.md has them all.
    milliseconds = wrap(f"milliseconds for one image, {front.measured_on}", 56, max_lines=2, placeholder=" …")
    left.set_xlabel("\n".join(milliseconds), parse_math=False)
    right.set_xlabel("megabytes of the file")
    left.set_ylabel(f"test {front.metric}, %")
    figure.legend(handles=_legend(front), loc="outside right center", fontsize=8, frameon=False)
    title = f"{front.recipe.name}: open marks are out of tolerance; lines join what no other file surpasses"
    figure.suptitle(title, fontsize=9, x=0.02, ha="left", parse_math=False)
    return png_of(figure)


def _panel(front: Front, panel: Axes, cost: Callable[[FrontPoint], float], best: Sequence[FrontPoint]) -> None:
    panel.plot([cost(one) for one in best], [100 * one.value for one in best], "-", color="0.6", linewidth=1, zorder=1)
    for number, target in enumerate(front.targets):
        for point in (one for one in front.points if one.target == target):
            panel.plot(
                cost(point), 100 * point.value, _MARKS.get(point.precision, _OTHER), color=f"C{number % 10}",
                markersize=6, markerfacecolor=f"C{number % 10}" if point.holds else "none", zorder=2,
            )  # fmt: skip
    panel.set_xscale("log")
    panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    panel.xaxis.set_major_formatter(lambda cost, _: f"{cost:g}")  # 0.5, not 5 × 10⁻¹
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.grid(color="0.92")
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)


def _legend(front: Front) -> list[Line2D]:
    names = [target.name for target in front.targets]
    colours = [
        Line2D([], [], color=f"C{number % 10}", marker="o", linestyle="none", label=name)
        for number, name in enumerate(names)
    ]
    precisions = dict.fromkeys(point.precision for point in front.points)
    marks = [
        Line2D([], [], color="0.3", marker=_MARKS.get(name, _OTHER), linestyle="none", label=name)
        for name in precisions
    ]
    return [*colours, *marks]
