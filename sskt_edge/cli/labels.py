"""sskt-edge labels: estimate the cost of soft labels, fill their store, and maintain it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sskt_edge.cli.output import Bars, JsonFlag, SetOption, given, recipe_word, show, show_json
from sskt_edge.common.shell import command
from sskt_edge.common.text import short_bytes, short_time

if TYPE_CHECKING:
    from sskt_edge.sources.store.collection import Collection

app = typer.Typer(help="Plan, fill, rank, list, verify and prune soft labels.", no_args_is_help=True)

RecipeName = Annotated[str, typer.Argument(help="A recipe file, or the name of a shipped recipe.")]
StoreOption = Annotated[Path, typer.Option("--store", help="The store's folder.")]


@app.command("plan")
def plan(recipe: RecipeName, set_: SetOption = None, json_: JsonFlag = False) -> None:
    """Estimate the cost of soft labels. Every source's engines and a training step of the target are measured.

    No labels are written. Engines that TensorRT builds for the measurement are kept in the user's cache for the fill.
    """
    from sskt_edge.cli.labels_tables import show_plan
    from sskt_edge.common.progress import QUIET
    from sskt_edge.data.ready import load_checked

    loaded = load_checked(recipe, set_ or ())
    progress = QUIET if json_ else Bars()
    with progress.bar("load torch", 1):
        from sskt_edge.training.memory import keep_freed_memory
        from sskt_edge.training.plan import plan_labels
    keep_freed_memory()
    planned = plan_labels(loaded, progress)
    if json_:
        show_json(planned)
    else:
        show_plan(planned, [recipe_word(recipe), *given(set=set_)])


@app.command("fill")
def fill(recipe: RecipeName, set_: SetOption = None, json_: JsonFlag = False) -> None:
    """Compute every soft label that training needs and the store lacks. A stopped fill resumes where it ended."""
    from sskt_edge.common.progress import QUIET
    from sskt_edge.data.ready import load_checked

    start = time.monotonic()
    loaded = load_checked(recipe, set_ or ())
    progress = QUIET if json_ else Bars()
    with progress.bar("load torch", 1):
        from sskt_edge.training.fill_store import fill_store
        from sskt_edge.training.memory import keep_freed_memory
    keep_freed_memory()
    filled = fill_store(loaded, progress)
    if json_:
        show_json(filled)
        return
    rows = {
        name: f"{part['asked']:,} of {part['views']:,} views queried with {part['engine']}; {part['path']}"
        for name, part in filled.items()
    }
    next_command = command("train", recipe_word(recipe), *given(set=set_))
    show(f"filled in {short_time(time.monotonic() - start)}", rows, [next_command])


@app.command("rank")
def rank(recipe: RecipeName, set_: SetOption = None, json_: JsonFlag = False) -> None:
    """Rank the recipe's sources by how well they predict your classes.

    Only linear layers are fitted, one on each source's answers and one on all together. They are scored on labelled
    images that they have not seen. Missing labels of four views per image are added to the store for later trainings.
    """
    from sskt_edge.cli.labels_tables import show_ranking
    from sskt_edge.common.progress import QUIET
    from sskt_edge.data.ready import load_checked

    loaded = load_checked(recipe, set_ or ())
    progress = QUIET if json_ else Bars()
    with progress.bar("load torch", 1):
        from sskt_edge.training.memory import keep_freed_memory
        from sskt_edge.training.rank_sources import rank_sources
    keep_freed_memory()
    ranked = rank_sources(loaded, progress)
    if json_:
        show_json([one.as_json() for one in ranked])
    else:
        show_ranking(ranked, [recipe_word(recipe), *given(set=set_)])


@app.command("list")
def list_(store: StoreOption = Path("labels"), json_: JsonFlag = False) -> None:
    """List stored labels by source and engine, with size and last use."""
    from sskt_edge.cli.labels_tables import collection_facts, show_collections

    found = _collections(store)
    if json_:
        show_json([collection_facts(one) for one in found])
    else:
        show_collections(store, found)


@app.command("verify")
def verify(store: StoreOption = Path("labels"), json_: JsonFlag = False) -> None:
    """Check stored labels by their hashes. Damaged shards are removed; the exit code is 1 if there were any.

    The next fill computes the lost labels again.
    """
    from sskt_edge.common.progress import QUIET
    from sskt_edge.common.seal import unprotected
    from sskt_edge.sources.store.store import LabelStore

    progress = QUIET if json_ else Bars()
    collections, lost = _collections(store), LabelStore(store).lost()
    shards = sum(len(one.shards) for one in collections)
    damages = [damage for one in collections for damage in one.verify(progress)]
    if json_:
        show_json(
            {
                "collections": len(collections),
                "shards": shards,
                "damaged": [{"shard": str(d.path), "why": d.why, "rows": d.rows} for d in damages],
                "without_manifest": [str(folder) for folder in lost],
                "unprotected": [str(one.path) for one in collections if not one.is_protected],
            }
        )
    else:
        verdict = f"{len(damages)} damaged, {sum(d.rows for d in damages):,} labels lost" if damages else "all intact"
        rows = {"collections": str(len(collections)), "shards": f"{shards}: {verdict}"}
        if older := [str(one.path) for one in collections if not one.is_protected]:
            rows["note"] = unprotected(f"manifest.json of {', '.join(older)}") + ", until labels are added"
        if lost:
            rows["without a manifest"] = (
                f"{', '.join(map(str, lost))}: restore manifest.json from a copy, or delete the folder; its labels are "
                f"then computed again"
            )
        show(f"verified '{store}'", rows, [command("labels", "fill", "RECIPE")] if damages else [])
    if damages or lost:
        raise typer.Exit(1)


@app.command("prune")
def prune(
    names: Annotated[list[str] | None, typer.Argument(help="Names of collections, as shown by `labels list`.")] = None,
    unused: Annotated[
        int | None, typer.Option(help="Remove the collections not used for this many days.", min=0)
    ] = None,
    store: StoreOption = Path("labels"),
    json_: JsonFlag = False,
) -> None:
    """Remove collections, by name or by the days since their last use."""
    from sskt_edge.common.errors import DataError, InputError, nearest
    from sskt_edge.common.progress import QUIET

    if not names and unused is None:
        raise InputError(
            f"No collections were chosen. Name some (to list them: {_list_of(store)}), or give --unused DAYS."
        )
    found = {one.path.name: one for one in _collections(store)}
    for name in names or ():
        if name not in found:
            raise DataError(f"'{store}' has no collection '{name}'. {nearest(name, found)}All: {_list_of(store)}")
    old = {name for name, one in found.items() if unused is not None and one.used < time.time() - 86400 * unused}
    chosen = [found[name] for name in found if name in {*(names or ()), *old}]
    freed = sum(one.bytes for one in chosen)
    for one in chosen:
        one.prune(QUIET if json_ else Bars())
    if json_:
        show_json({"pruned": [one.path.name for one in chosen], "bytes": freed})
    else:
        show(
            f"pruned {len(chosen)} of {len(found)} collections, {short_bytes(freed)}",
            {one.path.name: "removed" for one in chosen},
            [],
        )


def _list_of(store: Path) -> str:
    """The command that lists the collections of a store."""
    return command("labels", "list", *given(store=store if store != Path("labels") else None))


def _collections(store: Path) -> list[Collection]:
    """The collections in a store's folder. Lock files left by killed processes are removed.

    Raises:
        DataError: the folder does not exist, or a manifest in it is broken.
    """
    from sskt_edge.common.errors import DataError
    from sskt_edge.sources.store.store import LabelStore

    if not store.is_dir():
        raise DataError(
            f"Label store '{store}' does not exist. Name yours with --store, or create one: "
            f"sskt-edge labels fill RECIPE."
        )
    found = LabelStore(store)
    found.remove_left_over_locks()
    return found.collections()
