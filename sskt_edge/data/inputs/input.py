"""The seam of the inputs: all that depends on what an item is. Nothing here needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sskt_edge.catalogue.data_sets import DATA_SETS
from sskt_edge.catalogue.inputs import INPUTS

if TYPE_CHECKING:
    from sskt_edge.data.inputs.pixels import Pixels


class ViewPolicy(NamedTuple):
    """How views may differ from their item.

    Attributes:
        size: of the target's input; the unit of every view is one of its pixels.
        padding: how many pixels a crop may move out of the image, where it is black.
        area: smallest and largest share of the image that a resized crop takes, instead of moving.
        flip: mirror every other view.
    """

    size: int
    padding: int = 0
    area: tuple[float, float] | None = None
    flip: bool = False


class Input(Protocol):
    """A kind of input, such as an image. N items of a size are one array, uint8 [N,*shape(size)].

    Attributes:
        view_length: k, how many integers a view has.
    """

    @property
    def view_length(self) -> int:
        """As above."""

    def shape(self, size: int) -> tuple[int, ...]:
        """Of one item of a size, channels last: (S,S,3) of an image, (T,S,S,3) of a clip."""

    def draw(self, hashes: NDArray[np.uint8], policy: ViewPolicy, seed: int, number: int) -> NDArray[np.int32]:
        """View `number` of each item, from these arguments alone, whatever was drawn before.

        Args:
            hashes: uint8 [N,32], the SHA-256 of each item's content.
            policy: how a view may differ from its item.
            seed: of the views.
            number: of the view, from 0.

        Returns:
            int32 [N,k]. They are a part of the key of a soft label.
        """

    def cut(
        self, items: NDArray[np.uint8], rows: NDArray[np.intp], views: NDArray[np.int32], unit: int
    ) -> NDArray[np.uint8]:
        """One view of each row, to the same bits on every machine.

        Args:
            items: uint8 [N,*shape(S)], items of any size S.
            rows: [B], which items.
            views: int32 [B,k], as `draw` gives them for items of the size `unit`; scaled here to S.
            unit: the size of the policy that they were drawn with.

        Returns:
            uint8 [B,*shape(S)].
        """

    def preprocess(self, size: int, mean: Sequence[float], std: Sequence[float]) -> Pixels:
        """What makes a network's input of items: uint8 [B,*shape] → float32 [B,3,…]. It goes into the exported graph.

        Args:
            size: of what the network takes.
            mean: of the channels, 0 to 1.
            std: of the channels.
        """


def input_of(data_set: str) -> Input:
    """The input that the items of a data set are, by the data set's name.

    >>> input_of("stl10").shape(96)
    (96, 96, 3)
    """
    kind: Input = INPUTS[DATA_SETS[data_set].input].load()
    return kind
