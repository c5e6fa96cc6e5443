"""The ways to show a view of an image to a source."""

from __future__ import annotations

from dataclasses import dataclass

from sskt_edge.catalogue.entry import Entry


@dataclass(frozen=True)
class SourceViewEntry(Entry):
    """A way to show a view to a source.

    Its code is a function (input_size, own_size, target_size) → `sources.views.source_view.SourceView`.

    Attributes:
        inputs: the kinds of input that it can show to a source, entries of `catalogue.inputs`.
    """

    inputs: tuple[str, ...] = ("image",)


SOURCE_VIEWS: dict[str, SourceViewEntry] = {
    entry.name: entry
    for entry in (
        SourceViewEntry("native", "the region at the image's own resolution", "sskt_edge.sources.views.native:native"),
        SourceViewEntry(
            "upsampled", "the target's own pixels, enlarged", "sskt_edge.sources.views.upsampled:upsampled"
        ),
    )
}
