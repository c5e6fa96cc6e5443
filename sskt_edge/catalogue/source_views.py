"""How a source is shown a view of an image."""

from __future__ import annotations

from sskt_edge.catalogue.entry import Entry

# The code is a function (input_size, own_size, target_size) → `sources.views.source_view.SourceView`.
SOURCE_VIEWS: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry("native", "the region at the image's own resolution", "sskt_edge.sources.views.native:native"),
        Entry("upsampled", "the target's own pixels, enlarged", "sskt_edge.sources.views.upsampled:upsampled"),
    )
}
