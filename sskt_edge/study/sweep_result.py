"""A sweep's trials and the best of them, as values, as JSON, as Markdown, and as a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import tomli_w

from sskt_edge.common.shell import command
from sskt_edge.common.text import first_of
from sskt_edge.recipe.load import recipe_sha256
from sskt_edge.recipe.models import Recipe
from sskt_edge.study.base import as_written, with_overrides
from sskt_edge.study.comparison_text import markdown_table
from sskt_edge.study.space import Point, Space, toml_of
from sskt_edge.study.statistics import Spread, spread
from sskt_edge.tasks.task import task_named


@dataclass(frozen=True)
class Tried:
    """The results of one point of the space.

    Attributes:
        point: the point.
        values: seed → the metric on validation images after the last epoch, for seeds that have been trained.
        state: "done", "diverged", "running" or "waiting".
        why: the error of a training that diverged.
    """

    point: Point
    values: dict[int, float]
    state: str
    why: str = ""

    @cached_property
    def over_seeds(self) -> Spread | None:
        """The spread of the values; None until all are available."""
        return spread(list(self.values.values())) if self.state == "done" else None


@dataclass(frozen=True)
class Sweep:
    """The results of a sweep so far.

    Attributes:
        folder: the folder of sweep.json, sweep.md, sweep.png and best.toml.
        recipe: the user's recipe.
        space: the keys and values to try.
        sampler: "grid" or "tpe".
        seeds: the seeds that each point is trained with.
        precision: the precision of all trainings.
        validation: the share of the training images used for validation, or "rest".
        images: the number of validation images; 0 before the first training ends.
        tried: every point once, best first, those without a mean last.
    """

    folder: Path
    recipe: Recipe
    space: Space
    sampler: str
    seeds: tuple[int, ...]
    precision: str
    validation: float | str
    images: int
    tried: tuple[Tried, ...]

    @property
    def metric(self) -> str:
        """The task's metric: "accuracy" or "mAP"."""
        return task_named(self.recipe.task.name).metric

    @property
    def best(self) -> Tried | None:
        """The point with the highest mean; None before one is done."""
        return next((one for one in self.tried if one.state == "done"), None)

    @property
    def unfinished(self) -> list[Tried]:
        """The points that another process is trying now, or that are waiting."""
        return [one for one in self.tried if one.state in {"running", "waiting"}]

    @property
    def notes(self) -> list[str]:
        """Remarks that a reader must know."""
        said = [
            f"Chosen by the last epoch's {self.metric} on validation images, data.validation = "
            f"{toml_of(self.validation)}; no test image was read."
        ]
        if self.best is not None and self.best.over_seeds is not None and self.images:
            error = task_named(self.recipe.task.name).sampling_error(self.best.over_seeds.mean, self.images)
            by_chance = (
                ""
                if error is None
                else f"One {self.metric} on {self.images:,} validation images has a standard error of "
                f"{100 * error:.1f} points by the choice of the images alone. "
            )
            said.append(f"{by_chance}The best of many looks better than it is: measure it with sskt-edge compare.")
        if self.unfinished:
            named = first_of([self._named(one) for one in self.unfinished], 3, "; ")
            said.append(f"Not done yet: {named}. The same command continues, or shows what other processes found.")
        return said + [f"{self._named(one)} diverged: {one.why}" for one in self.tried if one.state == "diverged"]

    def as_json(self) -> dict[str, Any]:
        """The sweep as values for JSON, with the metric from 0 to 1."""
        return {
            "name": self.recipe.name,
            "recipe_sha256": recipe_sha256(self.recipe),
            "folder": self.folder,
            "space": self.space,
            "sampler": self.sampler,
            "seeds": self.seeds,
            "precision": self.precision,
            "metric": self.metric,
            "validation": {"share": self.validation, "images": self.images},
            "trials": [self._as_json(one) for one in self.tried],
            "best": None if self.best is None else self.space.values(self.best.point),
            "notes": self.notes,
        }

    def head(self) -> tuple[str, ...]:
        """The header of the rows."""
        return (*(axis.key for axis in self.space.axes), "mean, %", "sd", "every seed, %", "")

    def rows(self) -> list[tuple[str, ...]]:
        """One row per point, best first."""
        rows = []
        for one in self.tried:
            texts = [axis.texts[place] for axis, place in zip(self.space.axes, one.point, strict=True)]
            mean, sd = (one.over_seeds.mean, one.over_seeds.sd) if one.over_seeds else (None, None)
            every = ", ".join(f"{100 * one.values[seed]:.2f}" if seed in one.values else "–" for seed in self.seeds)
            word = "best" if one is self.best else "" if one.state == "done" else one.state
            rows.append((*texts, _percent(mean), _percent(sd), every, word))
        return rows

    def title(self) -> str:
        """One line that says what was swept."""
        keys = ", ".join(axis.key for axis in self.space.axes)
        seeds = f"{len(self.seeds)} seed{'s' if len(self.seeds) > 1 else ''}"
        return f"{self.recipe.name}: {keys}; {self.sampler}, {seeds} a point, {self.precision}"

    def as_markdown(self) -> str:
        """The table and its notes."""
        notes = "\n".join(f"- {' '.join(note.split())}" for note in self.notes)
        return f"# {self.title()}\n\n{markdown_table(self.head(), self.rows())}\n\n{notes}\n"

    def best_recipe(self, best: Tried) -> str:
        """The text of the user's recipe with the best values; comments at its top say how they were chosen."""
        recipe = with_overrides(self.recipe, self.space.changes(best.point), "best.toml")
        done = [one for one in self.tried if one.state == "done"]
        seeds = f"seed {self.seeds[0]}" if len(self.seeds) == 1 else f"the mean over seeds {list(self.seeds)}"
        listed = [f"{axis.key} in {', '.join(axis.texts)}" for axis in self.space.axes]
        value = best.over_seeds.mean if best.over_seeds else 0.0
        head = [
            f"{self.recipe.name} with {', '.join(self.space.changes(best.point))}",
            "",
            command("compare", self.folder / "best.toml", "--seeds", "5"),
            "",
            f"The best of {len(done)} points of {len(self.space)} ({self.sampler}): {'; '.join(listed)}.",
            f"Chosen by the last epoch's {self.metric} on {self.images:,} validation images, {seeds}: {value:.2%}.",
            f"The validation images are those of data.validation = {toml_of(self.validation)}; no test image was read.",
            "It is the value of the best of many points, so it looks better than it is.",
        ]
        # No character of a value may end its line: the rest of the line would no longer be a comment.
        lines = ["".join(sign if sign.isprintable() else "?" for sign in line) for line in head]
        comments = "".join(f"# {line}".rstrip() + "\n" for line in lines)
        return comments + tomli_w.dumps(as_written(recipe))

    def _named(self, one: Tried) -> str:
        return ", ".join(self.space.changes(one.point))

    def _as_json(self, one: Tried) -> Mapping[str, Any]:
        return {
            "values": self.space.values(one.point),
            "state": one.state,
            "mean": one.over_seeds and one.over_seeds.mean,
            "sd": one.over_seeds and one.over_seeds.sd,
            "seeds": [{"seed": seed, "value": value} for seed, value in one.values.items()],
            "why": one.why,
        }


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.2f}"
