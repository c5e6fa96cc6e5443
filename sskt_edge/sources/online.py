"""Soft labels asked for while a training goes on: nothing is kept beyond the views at hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sskt_edge.common.progress import Progress
from sskt_edge.inference.session import Session
from sskt_edge.sources.query_source import ask
from sskt_edge.sources.store.label_format import Arrays, LabelFormat
from sskt_edge.sources.view_schedule import ViewSchedule


def views_asked(wanted: ViewSchedule) -> int:
    """How many views a whole training asks a source about by `OnlineLogits`."""
    turns = 1 if wanted.numbers == 1 else wanted.turns
    return sum(len(wanted.places_of(turn % wanted.numbers)) for turn in range(turns))


class OnlineLogits:
    """A source's logits of wanted views, in the store's form, so that they are those of the store to the bit.

    A view number is asked for as a whole, over all images in their order, so that what a training's batches are cannot
    change a bit.
    """

    def __init__(
        self,
        name: str,
        session: Session,
        side: int,
        form: LabelFormat,
        wanted: ViewSchedule,
        progress: Progress,
        between: Callable[[], None],
    ) -> None:
        """Ask `session` about squares of `side`; `between` is called before each batch."""
        self._name, self._session, self._side, self._form, self._wanted = name, session, side, form, wanted
        self._progress, self._between = progress, between
        self._kept: dict[int, Arrays] = {}

    def read(self, places: NDArray[np.intp]) -> NDArray[np.float32]:
        """[B] → float32 [B,C].

        Raises:
            NetworkError: a logit is not finite, or too large for float16.
        """
        numbers, within = np.divmod(places, len(self._wanted.images))
        # A batch of unlabelled images may hold the end of one pass and the start of the next.
        self._kept = {int(number): self._of(int(number)) for number in np.unique(numbers)}
        read = np.empty((len(places), self._form.classes), dtype=np.float32)
        for number, arrays in self._kept.items():
            here = numbers == number
            read[here] = self._form.unpack({name: array[within[here]] for name, array in arrays.items()})
        return read

    def _of(self, number: int) -> Arrays:
        """The packed logits of a view number, of every image that has a place there."""
        if number in self._kept:
            return self._kept[number]
        places, packed = self._wanted.places_of(number), []
        with self._progress.bar(f"ask {self._name}, view {number + 1}", len(places)) as bar:
            for part, logits in ask(self._session, self._side, self._wanted, places, self._between):
                packed.append(self._form.pack(logits))
                bar.advance(len(part))
        return {name: np.concatenate([arrays[name] for arrays in packed]) for name in packed[0]}
