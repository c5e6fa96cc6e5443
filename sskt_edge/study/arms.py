"""The arms of a comparison: each is the study's recipe with a few values changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sskt_edge.common.errors import DownloadError, NetworkError, StudyError, nearest
from sskt_edge.recipe.models import Recipe
from sskt_edge.study.base import refuse_seed, with_overrides
from sskt_edge.targets.build import fetch_torchvision, torchvision_weights

_OPEN, _CLOSE = "[{", "]}"


@dataclass(frozen=True)
class Arm:
    """An arm, which is one line of the table.

    Attributes:
        name: its name.
        recipe: the recipe that is trained with every seed.
        changes: KEY=VALUE for each difference from the study's recipe.
        missing: why it cannot be trained here; empty if it can.
    """

    name: str
    recipe: Recipe
    changes: tuple[str, ...] = ()
    missing: str = ""


def _scratch(recipe: Recipe) -> list[str]:
    _refuse_weights(recipe, "finetuned")
    return ["method.name=scratch"]


def _sskt(recipe: Recipe) -> list[str]:
    _refuse_weights(recipe, "finetuned+sskt")
    return ["method.name=sskt"]


def _finetuned(recipe: Recipe) -> list[str]:
    return ["method.name=scratch", *_from_weights(recipe)]


def _finetuned_sskt(recipe: Recipe) -> list[str]:
    return ["method.name=sskt", *_from_weights(recipe)]


def _own_weights(recipe: Recipe) -> str | None:
    """The weights that the recipe itself starts the target from, if any."""
    return recipe.target.weights or recipe.target.checkpoint


def _refuse_weights(recipe: Recipe, instead: str) -> None:
    if own := _own_weights(recipe):
        raise NetworkError(f"The recipe starts from '{own}', not from scratch: use --method {instead}.")


def _from_weights(recipe: Recipe) -> list[str]:
    """The changes to start from weights: those that the recipe names, or torchvision's with a tenth of the rate.

    Weights are fetched now rather than hours later.

    Raises:
        NetworkError: there are no such weights.
        DownloadError: they could not be fetched.
    """
    model = recipe.target.model
    if _own_weights(recipe):
        return []
    weights = torchvision_weights(model, "DEFAULT")
    fetch_torchvision(model, weights)
    return [f"target.weights={weights.name}", f"train.optimizer.lr={recipe.train.optimizer.lr / 10:g}"]


METHODS: dict[str, Callable[[Recipe], list[str]]] = {
    "scratch": _scratch,
    "sskt": _sskt,
    "finetuned": _finetuned,
    "finetuned+sskt": _finetuned_sskt,
}


def arms_of(recipe: Recipe, methods: Sequence[str] = (), further: Sequence[str] = ()) -> tuple[Arm, ...]:
    """The arms of a comparison; the others are compared with the first.

    Args:
        recipe: the study's recipe.
        methods: names from METHODS; by default scratch and sskt, or finetuned and finetuned+sskt if the recipe starts
            from weights. A method whose published weights are not available becomes an arm that says so.
        further: more arms, each as "NAME: KEY=VALUE KEY=VALUE …".

    Raises:
        StudyError: a method is unknown, an arm has no name or sets a seed, or two arms have the same name.
        RecipeError: a change is not valid.
    """
    usual = ("finetuned", "finetuned+sskt") if _own_weights(recipe) else ("scratch", "sskt")
    arms = [_method_arm(recipe, name) for name in methods or usual]
    for text in further:
        name, changes = parse_arm(text)
        refuse_seed(changes, f"--arm '{name}':")
        arms.append(Arm(name, with_overrides(recipe, changes, f"arm {name}"), tuple(changes)))
    names = [arm.name for arm in arms]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise StudyError(f"Two arms are called '{twice[0]}'. Give every arm a different name; arms: {names}.")
    return tuple(arms)


def parse_arm(text: str) -> tuple[str, list[str]]:
    """Split "T3: method.temperature=3 method.alpha=1" into "T3" and ["method.temperature=3", "method.alpha=1"].

    Raises:
        StudyError: it has no name or no change.
    """
    name, _, rest = text.partition(":")
    changes = _split_changes(rest)
    if not name.strip().isprintable() or not name.strip() or not changes or not all("=" in part for part in changes):
        raise StudyError(f"--arm '{text}': expected 'NAME: KEY=VALUE KEY=VALUE', such as 'T3: method.temperature=3'.")
    return name.strip(), changes


def _split_changes(text: str) -> list[str]:
    """Split before each KEY= that follows a space outside quotes and brackets, since values may contain spaces."""
    starts, depth, quote = [0], 0, ""
    for place, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        elif sign in _OPEN + _CLOSE:
            depth += 1 if sign in _OPEN else -1
        elif depth == 0 and text[place - 1 : place].strip() == "" and re.match(r"[\w.-]+=", text[place:]):
            starts.append(place)
    parts = (text[start:end].strip() for start, end in zip(starts, [*starts[1:], len(text)], strict=True))
    return [part for part in parts if part]


def _method_arm(recipe: Recipe, name: str) -> Arm:
    if name not in METHODS:
        raise StudyError(f"--method {name}: unknown. {nearest(name, METHODS)}Known: {', '.join(METHODS)}.")
    try:
        changes = METHODS[name](recipe)
    except (NetworkError, DownloadError) as error:
        return Arm(name, recipe, missing=str(error))
    return Arm(name, with_overrides(recipe, changes, f"method {name}"), tuple(changes))
