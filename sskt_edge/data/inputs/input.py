"""The interface of the inputs: everything that depends on the kind of an item. Nothing here needs torch."""

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
        size: the size of the target's input; views are measured in its pixels.
        padding: how many pixels a crop may extend beyond the image; they are black.
        area: smallest and largest share of the image that a resized crop takes, instead of padding.
        flip: mirror every other view.
    """

    size: int
    padding: int = 0
    area: tuple[float, float] | None = None
    flip: bool = False


class Input(Protocol):
    """A kind of input, such as an image. N items of the same size form one array, uint8 [N,*shape(size)].

    Attributes:
        view_length: k, the number of integers in a view.
    """

    @property
    def view_length(self) -> int:
        """As above."""

    def shape(self, size: int) -> tuple[int, ...]:
        """The shape of one item of this size, channels last: (S,S,3) for an image, (T,S,S,3) for a clip."""

    def draw(self, hashes: NDArray[np.uint8], policy: ViewPolicy, seed: int, number: int) -> NDArray[np.int32]:
        """Draw view `number` of each item. It depends only on these arguments, not on earlier draws.

        Args:
            hashes: uint8 [N,32], the SHA-256 of each item's content.
            policy: how a view may differ from its item.
            seed: the view seed.
            number: the number of the view, from 0.

        Returns:
            int32 [N,k]. These integers are part of the key of a soft label.
        """

    def cut(
        self, items: NDArray[np.uint8], rows: NDArray[np.intp], views: NDArray[np.int32], unit: int
    ) -> NDArray[np.uint8]:
        """Cut one view for each row, identical to the bit on every machine.

        Args:
            items: uint8 [N,*shape(S)], items of any size S.
            rows: [B], which items.
            views: int32 [B,k], as drawn by `draw` for items of the size `unit`; they are scaled to S here.
            unit: the size in the policy with which they were drawn.

        Returns:
            uint8 [B,*shape(S)].
        """

    def preprocess(self, size: int, mean: Sequence[float], std: Sequence[float]) -> Pixels:
        """The module that turns items into a network's input: uint8 [B,*shape] → float32 [B,3,…].

        It becomes part of the exported graph.

        Args:
            size: the size of the network's input.
            mean: the means of the channels, from 0 to 1.
            std: the standard deviations of the channels.
        """


def input_of(data_set: str) -> Input:
    """The input for the items of a data set, by the data set's name.

    >>> input_of("stl10").shape(96)
    (96, 96, 3)
    """
    kind: Input = INPUTS[DATA_SETS[data_set].input].load()
    return kind
