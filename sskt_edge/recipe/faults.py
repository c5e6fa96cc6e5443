"""What is wrong with the values of a recipe, in the user's words: every fault with its dotted key, and what is near."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from sskt_edge.common.errors import closeness, is_close, nearest
from sskt_edge.recipe.models import Recipe

# pydantic puts the kind of an optimizer or a schedule into the place of a fault; users do not.
_KINDS = {"sgd", "adamw", "cosine", "steps", "plateau"}

# Where a key takes one of two types, pydantic says what is wrong with the value as either; users want one sentence.
_EITHER = {
    "data.validation": "a share from 0 to below 1, or 'rest'",
    "labels.views": "a number of at least 1, or 'fresh'",
    "labels.store": "a folder, or false",
}


def explain(error: ValidationError, where: str) -> str:
    """One message for all that is wrong, each line with its dotted key."""
    lines = dict.fromkeys(_explain_one(dict(fault)) for fault in error.errors())
    return f"'{where}' is not a valid recipe:\n" + "\n".join(f"  {line}" for line in lines)


def _explain_one(fault: dict[str, Any]) -> str:
    steps = [str(step) for step in fault["loc"]]
    place = [step for step in steps if step not in _KINDS]
    key = ".".join(place)
    for either, wanted in _EITHER.items():
        if key.startswith(f"{either}.") or key == either:
            return f"{either}: {wanted}, got {fault['input']!r}."
    message: str = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        known = _keys_at(Recipe, steps[:-1])
        near = _nearest_key(key, known)
        return f"{key}: unknown key. {near}Known here: {', '.join(known)}."
    if fault["type"] == "missing":
        return f"{key}: this key is needed."
    if fault["type"] == "literal_error":
        options = str(fault["ctx"]["expected"])
        names = [option.strip("'") for option in options.replace(" or ", ", ").split(", ")]
        return f"{key}: unknown value '{fault['input']}'. {nearest(str(fault['input']), names)}Known: {options}."
    if key == "" or fault["type"] in ("value_error", "unknown_name"):
        return f"{key}: {message}." if key else f"{message}."
    got = repr(fault["input"])
    return f"{key}: {message}, got {got if len(got) < 80 else got[:77] + '...'}."


def _keys_at(model: Any, steps: Sequence[str]) -> list[str]:
    """The keys that the model reached by `steps` knows, whatever unions and tuples stand on the way."""
    found = [model]
    for step in steps:
        if step in _KINDS:
            found = [m for m in found if step in get_args(m.model_fields["name"].annotation)]
        elif not step.isdigit():
            models = [m for m in found if isinstance(m, type) and issubclass(m, BaseModel) and step in m.model_fields]
            found = [part for m in models for part in _models_in(m.model_fields[step].annotation)]
    return sorted({key for m in found for key in m.model_fields})


def _nearest_key(key: str, known: Sequence[str]) -> str:
    """`Nearest: 'train.epochs'. `: of the keys known in the same table, or of another table where that is closer."""
    last = key.rpartition(".")[2]
    here = max(known, key=lambda name: closeness(last, name), default="")
    elsewhere = {other: other.rpartition(".")[2] for other in _dotted_keys(Recipe) if other != key}
    name = max(elsewhere.values(), key=lambda name: closeness(last, name))
    if closeness(last, here) >= closeness(last, name) or not is_close(last, name):
        return nearest(last, known)
    return f"Nearest: {', '.join(repr(other) for other, its in elsewhere.items() if its == name)}. "


def _dotted_keys(model: type[BaseModel], above: str = "") -> list[str]:
    """Every key of a recipe: "train.optimizer.lr"; of an array of tables, such as sources, its first element's."""
    keys = []
    for name, field in model.model_fields.items():
        below = _models_in(field.annotation)
        in_array = "tuple" in str(field.annotation)
        keys += [f"{above}{name}"] if not below else []
        for part in below:
            keys += _dotted_keys(part, f"{above}{name}.0." if in_array else f"{above}{name}.")
    return list(dict.fromkeys(keys))


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
