"""The environment that a run was started in: environment.json, which is checked when the run is resumed.

Torch is imported only where the machine is examined, so that a resumed run's recipe is checked before torch is loaded.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import platform
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w
from pydantic import BaseModel, ConfigDict

from sskt_edge.common.errors import RecipeError, RunError
from sskt_edge.common.files import storage_errors
from sskt_edge.common.packages import version_of
from sskt_edge.common.printable import printable
from sskt_edge.data.copies import Copies
from sskt_edge.recipe.load import apply_overrides, recipe_sha256, run_recipe
from sskt_edge.recipe.models import Recipe
from sskt_edge.recipe.older import from_older
from sskt_edge.recipe.precision import Precision
from sskt_edge.targets.records import read_recipe, read_record
from sskt_edge.targets.run_layout import RunFolder
from sskt_edge.training.image_list import changed_images

if TYPE_CHECKING:
    import torch

    from sskt_edge.training.inputs import Inputs

_PACKAGES = ("sskt-edge", "torch", "torchvision", "timm", "numpy", "pillow", "safetensors", "onnxruntime", "openvino")
_CHANGES_SHOWN = 5


class TrainingMachine(BaseModel):
    """The facts about the machine that the last bits of a training depend on."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    device: str
    device_name: str
    cpu_capability: str
    threads: int
    python: str
    platform: str
    packages: dict[str, str]


class Environment(BaseModel):
    """environment.json.

    Attributes:
        recipe: every value of the recipe, so that resuming can say what changed. None in a run of an older version.
        recipe_file_sha256: the hash of recipe.toml. None in a run of an older version.
        overrides: the KEY=VALUE arguments that were given by --set.
        licenses: the licenses of the sources' weights, where they are known.
        copies: images in two parts or in two classes; None in a run of a version that did not look for them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    started: str
    precision: Precision
    precision_why: str
    recipe_sha256: str
    recipe: dict[str, Any] | None = None
    overrides: tuple[str, ...] = ()
    recipe_file_sha256: str | None = None
    data_sha256: str
    unlabelled_sha256: str | None = None
    training_images: int
    skipped_images: tuple[str, ...]
    copies: Copies | None = None
    sources: dict[str, str]
    licenses: dict[str, str] = {}
    remarks: dict[str, str] = {}
    engines: dict[str, str]
    machine: TrainingMachine


def recipe_file(recipe: Recipe) -> bytes:
    """The content of recipe.toml: the recipe with every default."""
    return tomli_w.dumps(recipe.model_dump(mode="json", exclude_none=True)).encode()


def this_machine(device: torch.device) -> TrainingMachine:
    """The facts about this machine now."""
    import torch

    from sskt_edge.targets.precision import bf16_instructions

    return TrainingMachine(
        device=device.type,
        device_name=torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "unknown",
        cpu_capability=" ".join((torch.backends.cpu.get_cpu_capability(), *bf16_instructions())),
        threads=torch.get_num_threads(),
        python=platform.python_version(),
        platform=platform.platform(),
        packages={name: version for name in _PACKAGES if (version := version_of(name))},
    )


def new_environment(
    recipe: Recipe,
    inputs: Inputs,
    engines: dict[str, str],
    device: torch.device,
    precision: Precision,
    why: str,
    overrides: Sequence[str] = (),
) -> Environment:
    """The environment of a run that starts now; `engines` maps each source to its engine."""
    return Environment(
        started=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        precision=precision,
        precision_why=why,
        recipe_sha256=recipe_sha256(recipe),
        recipe=recipe.model_dump(mode="json"),
        overrides=tuple(overrides),
        recipe_file_sha256=hashlib.sha256(recipe_file(recipe)).hexdigest(),
        data_sha256=inputs.data_sha256(),
        unlabelled_sha256=inputs.unlabelled_sha256(),
        training_images=len(inputs.images),
        copies=inputs.copies,
        skipped_images=tuple(map(printable, inputs.reader.skipped)),
        sources={source.name: source.identity for source in inputs.sources},
        licenses=inputs.licenses,
        remarks={source.name: source.remark for source in inputs.sources if source.remark},
        engines=engines,
        machine=this_machine(device),
    )


def read_environment(folder: RunFolder) -> Environment:
    """Read the environment of a run.

    Raises:
        RunError: there is none, or it was changed or is broken.
    """
    return read_record(folder.environment, Environment, "Start a new training.")


def refuse_other_recipe(folder: RunFolder, recipe: Recipe) -> None:
    """Refuse to resume a run with another recipe than the one that it was started with.

    Raises:
        RunError: a value differs, and the message gives it before and now; or recipe.toml was edited in another way.
    """
    environment = read_environment(folder)
    if not is_recipe_of(environment, recipe):
        values = changed_values(folder, environment, recipe)
        raise _changed(folder, f"the recipe changed since it was started: {values}")
    read_recipe(folder, environment.recipe_file_sha256)


def is_recipe_of(environment: Environment, recipe: Recipe) -> bool:
    """Whether a run was started with exactly this recipe; keys that its version did not know have their defaults."""
    then = _recipe_then(environment)
    return (environment.recipe_sha256 if then is None else recipe_sha256(then)) == recipe_sha256(recipe)


def _recipe_then(environment: Environment) -> Recipe | None:
    """The recipe that a run was started with; None if another version started it and the recipe is unknown."""
    if environment.recipe is None:
        return None
    with contextlib.suppress(RecipeError):
        return apply_overrides(from_older(dict(environment.recipe)), (), "environment.json")
    return None


def changed_values(folder: RunFolder, environment: Environment, recipe: Recipe) -> str:
    """The values of a run's recipe that differ in `recipe`, such as "train.epochs was 60, is 30"."""
    then = _recipe_then(environment) or run_recipe(folder.recipe)
    before, after = (dict(_values(one.model_dump(mode="json"))) for one in (then, recipe))
    changes = [
        f"{key} was {_shown(before, key)}, is {_shown(after, key)}"
        for key in [*before, *(key for key in after if key not in before)]
        if before.get(key) != after.get(key)
    ]
    if not changes:  # the run has only the hash of its recipe
        return f"'{folder.recipe}' was edited, or another version of sskt-edge started the run"
    more = len(changes) - _CHANGES_SHOWN
    return "; ".join(changes[:_CHANGES_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _values(tree: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of each value in a recipe's tables; a source is listed under its name."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _values(value, f"{above}{key}.")
        elif isinstance(value, list) and value and all(isinstance(part, dict) for part in value):
            yield from _values({part["name"]: part for part in value}, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _shown(values: dict[str, Any], key: str) -> str:
    value = values.get(key)
    return "not set" if value is None else json.dumps(value, ensure_ascii=False)


def refuse_other_inputs(folder: RunFolder, inputs: Inputs) -> None:
    """Refuse to resume a run with other images or sources than those that it was started with.

    Raises:
        RunError: one of them differs; the message names it, or the files of the images.
    """
    then = read_environment(folder)
    now = {source.name: source.identity for source in inputs.sources}
    differ = sorted(name for name in now.keys() | then.sources.keys() if now.get(name) != then.sources.get(name))
    if then.data_sha256 != inputs.data_sha256():
        files = changed_images(folder.images, inputs.labelled, inputs.task, inputs.reader.classes)
        counts = f"{then.training_images} then, {len(inputs.images)} now"
        raise _changed(folder, f"the training images changed since it was started: {files or counts}")
    if then.unlabelled_sha256 != inputs.unlabelled_sha256():
        files = changed_images(
            folder.images,
            {"unlabelled": inputs.unlabelled} if inputs.unlabelled else {},
            inputs.task,
            inputs.reader.classes,
        )
        raise _changed(folder, f"the unlabelled images changed since it was started{files and f': {files}'}")
    if differ:
        raise _changed(folder, f"the source '{differ[0]}' changed since it was started")


def _changed(folder: RunFolder, what: str) -> RunError:
    return RunError(f"'{folder.path}' cannot be resumed: {what}. Undo that, or start a new run: leave out --resume.")


def other_machine(folder: RunFolder, device: torch.device) -> list[str]:
    """The differences between this machine and the one that started the run; with any, last bits may differ."""
    then, now = read_environment(folder).machine.model_dump(), this_machine(device).model_dump()
    return [f"{key}: {then[key]} then, {now[key]} now" for key in now if then[key] != now[key]]


def new_run_folder(runs: Path, name: str) -> RunFolder:
    """Create a new folder for a run, named after the recipe and the time, so that no other run can take the name."""
    stem = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    for number in itertools.count(1):
        path = runs / (stem if number == 1 else f"{stem}-{number}")
        with storage_errors(path), contextlib.suppress(FileExistsError):
            path.mkdir(parents=True)
            return RunFolder(path)
    raise AssertionError("counting does not end")
