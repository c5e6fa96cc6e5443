"""Explain what is wrong with the values of a recipe: every fault with its dotted key and the nearest valid name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from sskt_edge.common.errors import closeness, is_close, nearest
from sskt_edge.recipe.choices import TableIn
from sskt_edge.recipe.models import Recipe

# If a key takes one of two types, pydantic reports an error for each of them; users want one sentence.
_EITHER = {
    "data.validation": "a share from 0 up to but not including 1, or 'rest'",
    "labels.views": "a number of at least 1, or 'fresh'",
    "labels.store": "a folder, or false",
    "task.class_weights": "'balanced', or a number above 0 for each class by its name",
    "data.table.classes": "a column, a list of columns, or '*'",
}


def explain(error: ValidationError, tree: Mapping[str, Any], where: str) -> str:
    """One message for all faults in the tables `tree`: a line for each, with its dotted key."""
    lines = dict.fromkeys(_explain_one(dict(fault), tree) for fault in error.errors())
    return f"'{where}' is not a valid recipe:\n" + "\n".join(f"  {line}" for line in lines)


def _explain_one(fault: dict[str, Any], tree: Mapping[str, Any]) -> str:
    steps = [str(step) for step in fault["loc"]]
    of_table = fault["type"] == "unknown_name" and isinstance(fault["input"], dict)
    key = ".".join([*steps, "name"] if of_table else steps)
    for either, wanted in _EITHER.items():
        if key.startswith(f"{either}.") or key == either:
            return f"{either}: {wanted}, got {fault['input']!r}."
    message: str = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        known = _keys_at(steps[:-1], tree)
        near = _nearest_key(key, known)
        return f"{key}: unknown key. {near}Known here: {', '.join(known)}."
    if fault["type"] == "missing":
        return f"{key}: this key is required."
    if fault["type"] == "literal_error":
        options = str(fault["ctx"]["expected"])
        names = [option.strip("'") for option in options.replace(" or ", ", ").split(", ")]
        return f"{key}: unknown value '{fault['input']}'. {nearest(str(fault['input']), names)}Known: {options}."
    if key == "" or fault["type"] in ("value_error", "unknown_name", "table"):
        return f"{key}: {message}." if key else f"{message}."
    got = repr(fault["input"])
    return f"{key}: {message}, got {got if len(got) < 80 else got[:77] + '...'}."


def _keys_at(steps: Sequence[str], tree: Any) -> list[str]:
    """The known keys of the table at `steps` in a recipe `tree`, whatever unions and tuples lie on the way."""
    models: list[type[BaseModel]] = [Recipe]
    for step in steps:
        tree = _below(tree, step)
        if not step.isdigit():
            fields = [model.model_fields[step] for model in models if step in model.model_fields]
            models = [model for field in fields for model in _models_of(field, tree)]
    return sorted({key for model in models for key in model.model_fields})


def _below(tree: Any, step: str) -> Any:
    try:
        return tree[int(step)] if isinstance(tree, list) else tree[step]
    except (LookupError, TypeError, ValueError):
        return None


def _nearest_key(key: str, known: Sequence[str]) -> str:
    """`Nearest: 'train.epochs'. `: the nearest key of the same table, or of another table if that one is closer."""
    last = key.rpartition(".")[2]
    here = max(known, key=lambda name: closeness(last, name), default="")
    elsewhere = {other: other.rpartition(".")[2] for other in _dotted_keys(Recipe) if other != key}
    name = max(elsewhere.values(), key=lambda name: closeness(last, name))
    if is_close(last, here) or not is_close(last, name):
        return nearest(last, known)
    return f"Nearest: {', '.join(repr(other) for other, its in elsewhere.items() if its == name)}. "


def _dotted_keys(model: type[BaseModel], above: str = "") -> list[str]:
    """Every key of a recipe, such as "train.optimizer.lr", and the keys of element 0 of an array such as sources."""
    keys = []
    for name, field in model.model_fields.items():
        below = _models_of(field, None)
        in_array = "tuple" in str(field.annotation)
        keys += [f"{above}{name}"] if not below else []
        for part in below:
            keys += _dotted_keys(part, f"{above}{name}.0." if in_array else f"{above}{name}.")
    return list(dict.fromkeys(keys))


def _models_of(field: FieldInfo, table: Any) -> list[type[BaseModel]]:
    """The models of a key's table; if it is chosen from the catalogue, the one that `table` names, or all of them."""
    for choice in field.metadata:
        if isinstance(choice, TableIn):
            chosen = choice.model_for(table) if table is not None else None
            return [chosen] if chosen else [entry.options_model() for entry in choice.entries.values()]
    return _models_in(field.annotation)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
