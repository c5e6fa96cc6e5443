"""A training's epochs as a human-readable table: a header, and one line per epoch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_ROW = re.compile(r" *(\d+)/\d+ |after epoch (\d+): ")


class EpochTable:
    """The lines of the table, with columns of equal width.

        epoch    loss =   task + 3×imagenet   train     val     time
        12/60   1.234 =  0.901 +      0.111   81.2%   78.0%    3.2 s

    The total is the sum of the task's loss and of each source's loss times its weight α. Each loss is shown before α,
    as in metrics.jsonl; the header shows α if it is not 1.
    """

    def __init__(self, epochs: int, weights: Mapping[str, float], metric: str | None) -> None:
        """A table of `epochs` lines for a training with these sources (name → α), with or without validation."""
        self._epochs, self._metric = epochs, metric
        self._number = max(len("epoch"), 2 * len(str(epochs)) + 1)
        self._sources = {name: name if alpha == 1 else f"{alpha:g}×{name}" for name, alpha in weights.items()}

    @property
    def head(self) -> str:
        """The names of the columns."""
        terms = " + ".join([f"{'task':>6}", *(f"{title:>6}" for title in self._sources.values())])
        validation = f"  {'val':>6}" if self._metric else ""
        return f"{'epoch':<{self._number}}  {'loss':>6} = {terms}  {'train':>6}{validation}  {'time':>7}"

    def row(self, figures: Mapping[str, Any]) -> str:
        """The line of an epoch, from its figures in metrics.jsonl; validation is blank where there was none."""
        terms = [_loss(figures["loss_primary"], 6)]
        terms += [_loss(figures[f"loss_{name}"], max(6, len(title))) for name, title in self._sources.items()]
        number = f"{figures['epoch']}/{self._epochs}"
        taken = figures.get(f"validation_{self._metric}")
        validation = f"  {'' if taken is None else f'{taken:.1%}':>6}" if self._metric else ""
        return (
            f"{number:>{self._number}}  {_loss(figures['loss'], 6)} = {' + '.join(terms)}"
            f"  {figures['train_correct']:>6.1%}{validation}  {figures['seconds']:>5.1f} s"
        )


def epoch_of(line: str) -> int | None:
    """The epoch that a line of a log is about: a table's row, or a line after it; None for any other line."""
    found = _ROW.match(line)
    return int(found[1] or found[2]) if found else None


def _loss(value: float, width: int) -> str:
    """The value with three decimals if they fit, otherwise with four digits."""
    return f"{value:>{width}.3f}" if value < 100 else f"{value:>{width}.4g}"
