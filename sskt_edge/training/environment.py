"""With what a run was made: environment.json, held against the present when the run goes on."""

from __future__ import annotations

import contextlib
import itertools
import platform
import time
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from sskt_edge.errors import RunError
from sskt_edge.recipe.load import load_recipe, recipe_sha256
from sskt_edge.recipe.models import Recipe
from sskt_edge.recipe.names import Precision
from sskt_edge.runtime.files import storage_errors
from sskt_edge.runtime.machine.machine import version_of
from sskt_edge.targets.precision import bf16_instructions
from sskt_edge.targets.run_layout import RunFolder
from sskt_edge.training.inputs import Inputs

_PACKAGES = ("sskt-edge", "torch", "torchvision", "timm", "numpy", "pillow", "safetensors", "onnxruntime", "openvino")


class Machine(BaseModel):
    """What the last bits of a training depend on, beside its inputs."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    device: str
    device_name: str
    cpu_capability: str
    threads: int
    python: str
    platform: str
    packages: dict[str, str]


class Environment(BaseModel):
    """environment.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    started: str
    precision: Precision
    precision_why: str
    recipe_sha256: str
    data_sha256: str
    unlabelled_sha256: str | None = None
    training_images: int
    skipped_images: tuple[str, ...]
    sources: dict[str, str]
    engines: dict[str, str]
    machine: Machine


def this_machine(device: torch.device) -> Machine:
    """The machine as it is now."""
    return Machine(
        device=device.type,
        device_name=torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "unknown",
        cpu_capability=" ".join((torch.backends.cpu.get_cpu_capability(), *bf16_instructions())),
        threads=torch.get_num_threads(),
        python=platform.python_version(),
        platform=platform.platform(),
        packages={name: version for name in _PACKAGES if (version := version_of(name))},
    )


def new_environment(
    recipe: Recipe, inputs: Inputs, engines: dict[str, str], device: torch.device, precision: Precision, why: str
) -> Environment:
    """What a run that starts now writes down; `engines` says by what each source is asked."""
    return Environment(
        started=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        precision=precision,
        precision_why=why,
        recipe_sha256=recipe_sha256(recipe),
        data_sha256=inputs.data_sha256(),
        unlabelled_sha256=inputs.unlabelled_sha256(),
        training_images=len(inputs.images),
        skipped_images=tuple(inputs.reader.skipped),
        sources={source.name: source.identity for source in inputs.sources},
        engines=engines,
        machine=this_machine(device),
    )


def read_environment(folder: RunFolder) -> Environment:
    """The environment of a run that was started.

    Raises:
        RunError: there is none, or it is broken.
    """
    try:
        return Environment.model_validate_json(folder.environment.read_bytes())
    except (OSError, ValidationError) as error:
        raise RunError(f"'{folder.environment}' is missing or broken. Start the training anew.") from error


def refuse_other_inputs(folder: RunFolder, recipe: Recipe, inputs: Inputs) -> None:
    """A run goes on only with the recipe, the images and the sources that it was started with.

    Raises:
        RunError: one of them differs; it is named.
    """
    then = read_environment(folder)
    now = {source.name: source.identity for source in inputs.sources}
    differ = [name for name in now.keys() | then.sources.keys() if now.get(name) != then.sources.get(name)]
    if then.recipe_sha256 != recipe_sha256(recipe):
        what = f"the recipe ({', '.join(_changes(load_recipe(str(folder.recipe)), recipe)[:3])})"
    elif then.data_sha256 != inputs.data_sha256():
        what = f"the training images ({then.training_images} then, {len(inputs.images)} now)"
    elif then.unlabelled_sha256 != inputs.unlabelled_sha256():
        what = "the unlabelled images"
    elif differ:
        what = f"the source '{sorted(differ)[0]}'"
    else:
        return
    raise RunError(f"'{folder.path}' cannot go on: {what} changed since it was started. Start anew without --resume.")


def other_machine(folder: RunFolder, device: torch.device) -> list[str]:
    """What of this machine differs from the one that started the run; if anything does, last bits may differ."""
    then, now = read_environment(folder).machine.model_dump(), this_machine(device).model_dump()
    return [f"{key}: {then[key]} then, {now[key]} now" for key in now if then[key] != now[key]]


def _changes(then: Recipe, now: Recipe) -> list[str]:
    before, after = then.model_dump(), now.model_dump()
    return [
        f"{part}.{key}" if isinstance(after[part], dict) else part
        for part in after
        for key in (after[part] if isinstance(after[part], dict) else [part])
        if (before[part][key] != after[part][key] if isinstance(after[part], dict) else before[part] != after[part])
    ]


def new_run_folder(runs: Path, name: str) -> RunFolder:
    """A new, empty folder for a run: the recipe's name and the time. Made here, so that no other run takes the name."""
    stem = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    for number in itertools.count(1):
        path = runs / (stem if number == 1 else f"{stem}-{number}")
        with storage_errors(path), contextlib.suppress(FileExistsError):
            path.mkdir(parents=True)
            return RunFolder(path)
    raise AssertionError("counting does not end")
