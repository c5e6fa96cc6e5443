"""Messages before a store is filled: what is new, what changed since the last filling, and what it will cost."""

from __future__ import annotations

from typing import Any

import numpy as np

from sskt_edge.common.text import first_of, short_bytes, short_time
from sskt_edge.sources.engine_selection import EngineChoice
from sskt_edge.sources.fill_record import fill_records, speed_of
from sskt_edge.sources.label_query import LabelQuery
from sskt_edge.sources.store.collection import Collection
from sskt_edge.sources.store.store import LabelStore

_MOST_NAMES = 3
# What labels were made with, by the table of their facts, where "another <table>" does not say it.
_MADE_WITH = {
    "sees": "other views of the images",
    "source": "other weights or another input of the source",
    "batch": "another batch size",
    "pillow": "another version of Pillow",
}


def fill_messages(query: LabelQuery, choice: EngineChoice, collection: Collection, store: LabelStore) -> list[str]:
    """One line for each change since the store was last filled; the last line gives the cost of the filling."""
    name, missing, views = query.source.name, query.missing(collection), query.views
    if missing == 0:
        return [f"{name}: all {views:,} labels are in '{collection.path}' ({choice.engine.name})"]
    changed = _other_conditions(name, collection, store) if collection.rows == 0 else _new(query, collection)
    cost = f"{missing:,} of {views:,} views to query with {choice.engine.name} ({choice.why})"
    speed = choice.images_per_second or speed_of(collection)
    time = f", about {short_time(missing / speed)}" if speed else ""
    size = short_bytes(missing * collection.row_bytes)
    return [*(f"{name}: {line}" for line in changed), f"{name}: {cost}{time}, {size} in '{collection.path}'"]


def _other_conditions(name: str, collection: Collection, store: LabelStore) -> list[str]:
    """Why existing labels cannot be used."""
    near = store.nearest(collection.facts, collection.top_k)
    if near is not None:
        other, differences = near
        # Each filling chooses its engine, so the engine is the reason only if nothing else differs.
        reasons = [line for line in differences if not line.startswith("engine.")] or differences
        return [_not_used(other, reasons)]
    return _another_model(name, collection, store)


def _another_model(name: str, collection: Collection, store: LabelStore) -> list[str]:
    """The model of a source of this name when it was last queried, if it was another one."""
    collections = store.collections(skip_broken=True)
    asked = [one for one in collections if name in [record.source for record in fill_records(one)]]
    if not asked:
        return []
    last = max(asked, key=lambda one: one.used)
    return [_not_used(last, [f"model: {last.facts['model']} then, {collection.facts['model']} now"])]


def _not_used(other: Collection, reasons: list[str]) -> str:
    """Why labels are made although there are some: "top_k: 0 then, 3 now" and the like, and what that means."""
    tables = [reason.split(":")[0].split(".")[0] for reason in reasons]
    made_with = list(dict.fromkeys(_MADE_WITH.get(table, f"another {table}") for table in tables))
    return (
        f"new labels are needed, since those in '{other.path.name}' were made with {' and '.join(made_with)} "
        f"({first_of(reasons, _MOST_NAMES, '; ')})"
    )


def _new(query: LabelQuery, collection: Collection) -> list[str]:
    """The kind of view that is new to the collection, or else the images that are."""
    now = query.schedules[0].plan.views_as_json()
    differences = [_differences(record.views, now) for record in fill_records(collection)]
    if differences and all(differences):
        return [f"other views than before: {'; '.join(differences[-1])}"]
    lines = []
    for schedule in query.schedules:
        rows = schedule.rows(np.arange(len(schedule.keys)))
        known = np.unique(rows[~collection.missing(schedule.keys)])
        new = [schedule.images.names[row] for row in np.setdiff1d(rows, known)]
        if 0 < len(new) < len(schedule.images):
            lines.append(f"no labels yet of {len(new)} of {len(schedule.images)} images: {first_of(new, _MOST_NAMES)}")
    return lines


def _differences(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """The differences in the kind of view; fewer views of the same kind do not count."""
    of_both = then.get("views"), now["views"]
    fewer = all(isinstance(views, int) for views in of_both) and of_both[0] >= of_both[1]
    differ = [key for key in now if then.get(key) != now[key] and not (key == "views" and fewer)]
    return [f"{key} {then.get(key)} then, {now[key]} now" for key in differ]
