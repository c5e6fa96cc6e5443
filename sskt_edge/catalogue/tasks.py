"""The tasks: what labels can mean. `load` returns an object with the methods of `sskt_edge.tasks.task.Task`."""

from __future__ import annotations

from sskt_edge.catalogue.entry import Entry

TASKS: dict[str, Entry] = {
    one.name: one
    for one in (
        Entry("single_label", "one class per image; accuracy", "sskt_edge.tasks.single_label:SINGLE_LABEL"),
        Entry("multi_label", "any number of classes per image; mAP", "sskt_edge.tasks.multi_label:MULTI_LABEL"),
    )
}
