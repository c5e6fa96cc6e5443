"""Soft labels asked for while training goes on: nothing is kept beyond the views at hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sskt_edge.runtime.progress import Progress
from sskt_edge.runtime.session import Session
from sskt_edge.sources.ask import ask
from sskt_edge.sources.wanted import Wanted

# A batch of unlabelled images may hold the end of one pass and the start of the next.
_KEPT = 2


class OnlineLogits:
    """A source's logits of wanted views, rounded as the store rounds them.

    A view number is asked for as a whole, over all images in their order, so that what a training's batches are cannot
    change a bit.
    """

    def __init__(
        self, name: str, session: Session, side: int, wanted: Wanted, progress: Progress, between: Callable[[], None]
    ) -> None:
        """Ask `session` about squares of `side`; `between` is called before each batch."""
        self._name, self._session, self._side, self._wanted = name, session, side, wanted
        self._progress, self._between = progress, between
        self._kept: dict[int, NDArray[np.float16]] = {}

    def read(self, places: NDArray[np.intp]) -> NDArray[np.float32]:
        """[B] → float32 [B,C]."""
        numbers, rows = np.divmod(places, len(self._wanted.images))
        parts = {int(number): self._of(int(number)) for number in np.unique(numbers)}
        read = np.empty((len(places), next(iter(parts.values())).shape[1]), dtype=np.float32)
        for number, logits in parts.items():
            read[numbers == number] = logits[rows[numbers == number]]
        return read

    def _of(self, number: int) -> NDArray[np.float16]:
        if number not in self._kept:
            while len(self._kept) >= _KEPT:
                del self._kept[next(iter(self._kept))]
            count = len(self._wanted.images)
            places = np.arange(number * count, (number + 1) * count)
            asked = []
            with self._progress.bar(f"{self._name}, view {number + 1}", count) as bar:
                for part, logits in ask(self._session, self._side, self._wanted, places, self._between):
                    asked.append(logits.astype(np.float16))
                    bar.advance(len(part))
            self._kept[number] = np.concatenate(asked)
        return self._kept[number]
