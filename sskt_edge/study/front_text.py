"""A front as text: the same tables for Markdown and for a terminal."""

from __future__ import annotations

from sskt_edge.study.comparison_text import Table, markdown_table
from sskt_edge.study.front_result import Front, FrontPoint


def title_of(front: Front) -> str:
    """One line that says what was trained, and where latencies were measured."""
    return f"{front.recipe.name}: {len(front.targets)} targets; latencies measured on {front.measured_on}"


def fronts_of(front: Front) -> list[Table]:
    """Two tables: what to ship for a latency, and for a size. Each row is better than all rows before it."""
    return [
        (_head(front, "fastest first"), [_cells(point) for point in front.by_latency]),
        (_head(front, "smallest first"), [_cells(point) for point in front.by_size]),
    ]


def all_of(front: Front) -> Table:
    """Every file by every library."""
    rows = []
    for point in front.points:
        marks = [name for name, on in (("latency", front.by_latency), ("size", front.by_size)) if point in on]
        rows.append((*_cells(point), ", ".join(marks) if point.holds else "out of tolerance"))
    return (*_head(front, "target"), "best by"), rows


def notes_of(front: Front) -> list[str]:
    """The notes below the tables."""
    notes = [
        "Each row of the first two tables is better than all rows before it: for a limit, ship the last row within it.",
        "Each target was trained once, with the seed of the recipe, so a difference smaller than the intervals may be "
        "chance. Compare the target that you choose over several seeds: sskt-edge compare.",
    ]
    otherwise = {f"{point.runner} ({point.scored_by})" for point in front.points if point.scored_by != point.runner}
    if otherwise:
        notes.append(
            f"Measured at the export by another library than the one that ran on the device: the {front.metric} of "
            f"{', '.join(sorted(otherwise))}. sskt-edge eval on the device shows if it answers the same."
        )
    return notes + [f"{name} is missing: {why}" for name, why in front.missing.items()]


def markdown_of(front: Front) -> str:
    """The whole front as a Markdown document."""
    tables = [markdown_table(*table) for table in [*fronts_of(front), all_of(front)]]
    notes = "\n".join(f"- {' '.join(line.split())}" for line in notes_of(front))
    return "\n\n".join([f"# {title_of(front)}", *tables, notes]) + "\n"


def _head(front: Front, first: str) -> tuple[str, ...]:
    return first, "precision", "run by", f"{front.metric} (95 %)", "ms", "MB"


def _cells(point: FrontPoint) -> tuple[str, ...]:
    low, high = point.interval
    value = f"{100 * point.value:.1f} ({100 * low:.1f}–{100 * high:.1f})"
    return (
        point.target.name,
        point.precision,
        point.runner,
        value,
        f"{point.latency_ms:.2f}",
        f"{point.bytes / 1e6:.2f}",
    )
