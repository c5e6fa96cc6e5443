"""The arms of a comparison: each is the study's recipe with a few values changed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sskt_edge.catalogue.methods import METHODS
from sskt_edge.common.errors import DownloadError, MissingExtraError, NetworkError, StudyError, nearest
from sskt_edge.recipe.models import Recipe
from sskt_edge.study.base import refuse_seed, with_overrides
from sskt_edge.study.start import gentler_rate, new_weights_changes, own_weights, weights_changes

_SCRATCH = "scratch"
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


def _from_weights(recipe: Recipe) -> list[str]:
    """The changes to start from weights: those that the recipe names, or the target's default with a tenth of the rate.

    Raises:
        NetworkError, DownloadError, MissingExtraError: as for `weights_changes`.
    """
    return [] if own_weights(recipe) else [*weights_changes(recipe), gentler_rate(recipe)]


def method_arms() -> dict[str, tuple[str, bool]]:
    """The arms that --method can name: arm → its method, and whether it starts from weights."""
    methods = sorted(METHODS, key=lambda name: name != _SCRATCH)
    return {name: (name, False) for name in methods} | {_finetuned(name): (name, True) for name in methods}


def _finetuned(method: str) -> str:
    """The name of a method's arm that starts from weights."""
    return "finetuned" if method == _SCRATCH else f"finetuned+{method}"


def _changes_of(recipe: Recipe, name: str) -> list[str]:
    """The changes that make the recipe an arm of method_arms.

    Raises:
        NetworkError: the target has no published weights.
        DownloadError: published weights could not be fetched.
        MissingExtraError: the package that contains them is not installed.
    """
    method, from_weights = method_arms()[name]
    if from_weights:
        return [f"method.name={method}", *_from_weights(recipe)]
    return [f"method.name={method}", *(new_weights_changes(recipe) if own_weights(recipe) else [])]


def arms_of(recipe: Recipe, methods: Sequence[str] = (), further: Sequence[str] = ()) -> tuple[Arm, ...]:
    """The arms of a comparison; the others are compared with the first.

    Args:
        recipe: the study's recipe.
        methods: names from method_arms; by default scratch and the recipe's own method (sskt if that is scratch), both
            finetuned if the recipe starts from weights. An arm whose published weights are not available says so.
        further: more arms, each as "NAME: KEY=VALUE KEY=VALUE …".

    Raises:
        StudyError: a method is unknown, an arm has no name or sets a seed, two arms have the same name, or their tasks
            differ.
        RecipeError: a change is not valid.
    """
    usual = (_SCRATCH, recipe.method.name if recipe.method.name != _SCRATCH else "sskt")
    if own_weights(recipe):
        usual = (_finetuned(usual[0]), _finetuned(usual[1]))
    arms = [_method_arm(recipe, name) for name in methods or usual]
    for text in further:
        name, changes = parse_arm(text)
        refuse_seed(changes, f"--arm '{name}':")
        arms.append(Arm(name, with_overrides(recipe, changes, f"arm {name}"), tuple(changes)))
    names = [arm.name for arm in arms]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise StudyError(f"Two arms are called '{twice[0]}'. Give every arm a different name; arms: {names}.")
    tasks = sorted({arm.recipe.task.name for arm in arms})
    if len(tasks) > 1:
        raise StudyError(
            f"The arms have different tasks ({', '.join(tasks)}), whose metrics cannot be compared. Give every arm the "
            "same task.name."
        )
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
    known = method_arms()
    if name not in known:
        raise StudyError(f"--method {name}: unknown. {nearest(name, known)}Known: {', '.join(known)}.")
    try:
        changes = _changes_of(recipe, name)
    except (NetworkError, DownloadError, MissingExtraError) as error:
        return Arm(name, recipe, missing=str(error))
    return Arm(name, with_overrides(recipe, changes, f"method {name}"), tuple(changes))
