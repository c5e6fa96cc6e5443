"""Print the label store as tables: the plan before it is filled, and its collections."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sskt_edge.cli.output import given, show
from sskt_edge.common.shell import command
from sskt_edge.common.text import short_bytes, short_time

if TYPE_CHECKING:
    from sskt_edge.sources.store.collection import Collection
    from sskt_edge.training.plan import Plan, SourcePlan
    from sskt_edge.training.rank_sources import RankedSource


def show_plan(plan: Plan, recipe: Sequence[str | Path]) -> None:
    """Print a plan: the engines of each source, then the expected times; `recipe` is given as command words."""
    for source in plan.sources:
        _show_engines(source)
    rows = {}
    for source in plan.sources:
        where = f", {short_bytes(source.bytes)} in {source.path}" if source.path else "; not stored"
        rows[source.name] = (
            f"{source.choice.engine.name}: {source.choice.why}. {source.missing:,} of {source.views:,} views to query, "
            f"{short_time(source.filling)}, {short_time(source.opening)} to prepare the engine{where}"
        )
    rows |= _licenses({source.name: source.license for source in plan.sources if source.license})
    if plan.probes == ():
        rows["probe"] = f"not known yet: {command('labels', 'rank', *recipe)}"
    rows |= {f"probe of {facts.name}": str(facts) for facts in plan.probes or ()}
    rows["one epoch"] = (
        f"{short_time(plan.stored_epoch)} with stored labels, {short_time(plan.online_epoch)} without "
        f"({plan.images:,} images)"
    )
    rows[f"{plan.epochs} epochs"] = (
        f"{short_time(plan.training_stored)} with the store, including the fill; "
        f"{short_time(plan.training_online)} without"
    )
    epochs = f"{plan.break_even} epoch{'s' if plan.break_even > 1 else ''}"
    rows["break-even"] = f"after {epochs}" if plan.filling else "immediate: no labels are missing"
    fill = [command("labels", "fill", *recipe)] if plan.filling else []
    show("the plan", rows, [*fill, command("train", *recipe)])


def _show_engines(source: SourcePlan) -> None:
    from sskt_edge.cli.console import Console
    from sskt_edge.cli.table import Column, Table

    near_ties = any(0 < verdict.near_tie < 1 for verdict in source.verdicts)
    of_features = any(verdict.cosine is not None for verdict in source.verdicts)
    by_probe = any(verdict.judge != "logits" for verdict in source.verdicts)
    of_answers = ("KL of the probe", "same by the probe") if by_probe else ("KL", "same class")
    numbers = ["images/s", *(["cosine"] if of_features else []), *of_answers, *(["or near tie"] if near_ties else [])]
    columns = [Column("engine"), Column("on"), *(Column(name, right=True) for name in numbers), Column(folds=True)]
    rows, styles = [], []
    for verdict in source.verdicts:
        chosen = verdict.engine == source.choice.engine
        measured = verdict.images_per_second > 0
        cells = [
            verdict.engine.name,
            verdict.provider or "–",
            f"{verdict.images_per_second:.0f}" if measured else "–",
            *([f"{verdict.cosine:.4f}" if verdict.cosine is not None else "–"] if of_features else []),
            f"{verdict.kl:.4f}" if measured else "–",
            f"{verdict.same:.1%}" if measured else "–",
            *([f"{verdict.agreement:.1%}" if measured else "–"] if near_ties else []),
            "chosen" if chosen else "passes" if verdict.passed else verdict.why,
        ]
        rows.append(cells)
        styles.append("bold" if chosen else "")
    console = Console()
    console.print(f"{source.name}: engines on real views", style="bold")
    Table(console, columns, rows, styles=styles).show()


def show_ranking(ranked: Sequence[RankedSource], recipe: Sequence[str | Path]) -> None:
    """Print sources in the order of what they know; `recipe` is given as command words."""
    from sskt_edge.cli.console import Console
    from sskt_edge.cli.table import Column, Table

    first = ranked[0].facts
    console = Console()
    console.print(f"{first.score.metric} of a linear layer on the answers of each source", style="bold")
    metric = f"{first.score.metric} (95 %)"
    columns = [Column("source"), *(Column(name, right=True) for name in (metric, "loss", "views/s", "to fill"))]
    columns.append(Column("engine"))
    rows = []
    for one in ranked:
        facts, speed = one.facts, one.images_per_second
        low, high = facts.score.interval
        scored = f"{facts.score.value:.1%} ({low * 100:.1f}–{high * 100:.1f})"
        costs = [f"{speed:.0f}" if speed else "–", "–" if one.filling is None else short_time(one.filling)]
        rows.append([facts.name, scored, f"{facts.loss:.3f}", *costs, ", ".join(one.engines)])
    Table(console, columns, rows, styles=["bold", *[""] * (len(rows) - 1)]).show()
    licenses = _licenses({name: license_ for one in ranked for name, license_ in one.licenses.items()})
    chosen = [] if "method.name=probe" in recipe else ["--set", "method.name=probe"]
    if len(ranked) > 1:
        chosen += ["--set", f"method.sources={json.dumps(list(first.sources))}"]
    measured = f"on {first.score.images:,} labelled images, cross-validated; chance level {first.chance:.1%}"
    if first.is_better_than_chance:
        show(f"ranked {measured}", licenses, [command("train", *recipe, *chosen)])
    else:
        show(f"no source is clearly better than chance, {measured}", licenses, [command("networks")])


def _licenses(licenses: Mapping[str, str]) -> dict[str, str]:
    """One row with the license of each source's weights; none if no license is known."""
    named = ", ".join(f"{name} {license_}" for name, license_ in licenses.items())
    return {"licenses": f"{named} (of the weights)"} if named else {}


def show_collections(store: Path, collections: Sequence[Collection]) -> None:
    """Print the collections of a store."""
    if not collections:
        show(f"'{store}' holds no labels", {}, [command("labels", "fill", "RECIPE")])
        return
    from sskt_edge.common.seal import unprotected
    from sskt_edge.sources.fill_record import fill_records

    for one in collections:
        facts = collection_facts(one)
        kept = f"{one.classes} {_dict(one.facts.get('source')).get('outputs', 'logits')}"
        rows = {
            "labels": f"{one.rows:,}, {short_bytes(one.bytes)}, used {_ago(one.used)}",
            "computed by": f"{facts['engine']} on {facts['device']}, {facts['sees']} px",
            "kept": f"the {one.top_k} largest of {kept}" if one.top_k else f"all {kept}",
            "for": ", ".join(dict.fromkeys(f"{record.recipe} ({record.source})" for record in fill_records(one))),
        }
        if not facts["protected"]:
            rows["note"] = unprotected("its manifest.json") + ", until labels are added"
        show(facts["name"], rows, [])  # users copy this name, so it has a line of its own
    total = sum(one.bytes for one in collections)
    elsewhere = given(store=store if store != Path("labels") else None)
    count = f"{len(collections)} collection{'s' if len(collections) > 1 else ''}"
    show(f"{count}, {short_bytes(total)} in '{store}'", {}, [command("labels", "verify", *elsewhere)])


def collection_facts(collection: Collection) -> dict[str, Any]:
    """The facts about a collection, for a table or JSON."""
    engine, sees = (_dict(collection.facts.get(name)) for name in ("engine", "sees"))
    return {
        "name": collection.path.name,
        "model": collection.facts["model"],
        "engine": f"{engine.get('backend', '?')}-{engine.get('precision', '?')}",
        "device": engine.get("provider", "?"),
        "sees": f"{sees.get('how', '?')} {sees.get('square', '?')}",
        "labels": collection.rows,
        "bytes": collection.bytes,
        "shards": len(collection.shards),
        "top_k": collection.top_k,
        "created": collection.created,
        "protected": collection.is_protected,
        "used": time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(collection.used)),
        "facts": collection.facts,
        "fills": collection.fills,
    }


def _dict(value: object) -> dict[str, Any]:
    """The value if it is a dict, else an empty dict: a store may come from elsewhere."""
    return value if isinstance(value, dict) else {}


def _ago(when: float) -> str:
    days = int((time.time() - when) / 86400)
    return "today" if days == 0 else f"{days} day{'s' if days > 1 else ''} ago"
