"""The state of a training in one safetensors file: weights, optimizer, position, and the file's own hash."""

from __future__ import annotations

import json
from pathlib import Path

import safetensors.torch
import torch
from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from safetensors import SafetensorError
from torch import Tensor, nn

from sskt_edge.common import seal
from sskt_edge.common.errors import RunError
from sskt_edge.common.files import write_atomically
from sskt_edge.common.text import first_line
from sskt_edge.training.schedules.schedule import ScheduleState

_POSITION = "position"


class TrainState(BaseModel):
    """The position of a training: `step` batches of epoch `epoch` are done (both count from 0).

    Attributes:
        sums: the sum of each loss term, times the images of its batch, over this epoch so far.
        correct: the number of training images of this epoch so far that were classified fully correctly.
        epoch_seconds: the time of this epoch so far, in earlier sessions.
        seconds: the time of training in all sessions.
        label_seconds: the time of choosing engines and filling the store, in all sessions that reached a first step.
        scaler: the state of the loss scaling, if fp16 needs it.
        validation_metric: the task's metric at the last validation.
        best_metric: the metric of the best validation so far; best_epoch is its epoch.
        schedule: the schedule's state.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    epoch: int = 0
    step: int = 0
    sums: dict[str, float] = {}
    correct: int = Field(0, validation_alias=AliasChoices("correct", "right"))  # "right" in older states
    epoch_seconds: float = 0.0
    seconds: float = 0.0
    label_seconds: float = 0.0
    scaler: dict[str, float] = {}
    validation_metric: float | None = Field(None, validation_alias=AliasChoices("validation_metric", "validation_top1"))
    best_metric: float | None = Field(None, validation_alias=AliasChoices("best_metric", "best_top1"))
    best_epoch: int | None = None
    schedule: ScheduleState = Field(ScheduleState(), validation_alias=AliasChoices("schedule", "plateau"))


def save_state(
    path: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: TrainState,
    averaged: nn.Module | None = None,
) -> None:
    """Write the state atomically; `averaged` is the network with the averaged weights, if there is one.

    Raises:
        StorageError: it cannot be written; an earlier file stays intact.
    """
    tensors = {f"network.{key}": value for key, value in network.state_dict().items()}
    if averaged is not None:
        tensors |= {f"averaged.{key}": value for key, value in averaged.state_dict().items()}
    for number, slots in optimizer.state_dict()["state"].items():
        for key, value in slots.items():
            if value is not None:
                tensors[f"optimizer.{number}.{key}"] = value
    plain = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    about = {_POSITION: state.model_dump_json(), seal.KEY: seal.BLANK}
    write_atomically(path, seal.sealed(safetensors.torch.save(plain, about)))


def load_state(
    path: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer | None = None,
    averaged: nn.Module | None = None,
) -> TrainState:
    """Load a saved state into `network`, and into `optimizer` and `averaged` if given. Its own hash is checked first.

    Raises:
        RunError: the file is broken, was changed, or belongs to another network.
    """
    weights: dict[str, dict[str, Tensor]] = {"network": {}, "averaged": {}}
    slots: dict[int, dict[str, Tensor]] = {}
    try:
        state, tensors = _read(path)
        for name, value in tensors.items():
            part, _, key = name.partition(".")
            if part in weights:
                weights[part][key] = value
            elif optimizer is not None:
                number, _, slot = key.partition(".")
                slots.setdefault(int(number), {})[slot] = value
        network.load_state_dict(weights["network"])
        if averaged is not None:
            averaged.load_state_dict(weights["averaged"])
        if optimizer is not None:
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            restored = {number: _laid_out(slots[number], parameters[number]) for number in slots}
            optimizer.load_state_dict({"state": restored, "param_groups": optimizer.state_dict()["param_groups"]})
    except (SafetensorError, OSError, ValueError, KeyError, IndexError, TypeError, RuntimeError) as error:
        raise RunError(
            f"The checkpoint '{path}' cannot be read: {first_line(error)}. Start the training again."
        ) from error
    return state


def _read(path: Path) -> tuple[TrainState, dict[str, Tensor]]:
    """Read the file of a state. A file of an older version has only its position, and not even a hash."""
    content = path.read_bytes()
    is_sealed = seal.is_sealed(content)
    about = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    if not is_sealed and set(about) != {_POSITION}:
        raise seal.BrokenSealError(seal.LOST)
    return TrainState.model_validate_json(about[_POSITION]), safetensors.torch.load(content)


def _laid_out(slots: dict[str, Tensor], parameter: Tensor) -> dict[str, Tensor]:
    """An optimizer's tensors in the memory layout of their parameter, which saving does not preserve."""
    return {
        key: torch.empty_like(parameter, device="cpu").copy_(slot) if slot.shape == parameter.shape else slot
        for key, slot in slots.items()
    }
