"""The training loop: views, soft labels, one step after another, and a state from which it goes on bit for bit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sskt_edge.common.errors import DivergenceError
from sskt_edge.common.progress import Bar, Progress
from sskt_edge.data.images import ImageSet
from sskt_edge.data.pixels import Pixels
from sskt_edge.methods.sskt.losses import AuxiliaryLoss, total_loss
from sskt_edge.methods.sskt.network import BranchedTarget
from sskt_edge.recipe.models import Recipe, TrainOptions
from sskt_edge.recipe.names import Precision
from sskt_edge.recipe.optimization import Plateau
from sskt_edge.targets.precision import autocast
from sskt_edge.targets.run_layout import RunFolder
from sskt_edge.training.epoch_table import EpochTable
from sskt_edge.training.feed import Batch, Feed
from sskt_edge.training.optimizer import build_optimizer, learning_rate
from sskt_edge.training.plateau import after_validation
from sskt_edge.training.run_log import RunLog
from sskt_edge.training.signals import StopRequested, StopSignal
from sskt_edge.training.state import TrainState, load_state, save_state

# Reading a loss stalls a GPU, so there it is done for this many steps at once.
_CHECK_EVERY = 20


@dataclass(frozen=True)
class TrainContext:
    """What a training works with; nothing of it changes.

    Attributes:
        train: the recipe's part.
        validation: images that choose the best checkpoint, or None.
        auxiliary: source → its loss.
        pixels: the target's preprocessing.
        device: where it runs.
        precision: of the forward pass.
    """

    train: TrainOptions
    validation: ImageSet | None
    auxiliary: Mapping[str, AuxiliaryLoss]
    pixels: Pixels
    device: torch.device
    precision: Precision


def layout(train: TrainOptions) -> torch.memory_format:
    """How images and weights lie in memory."""
    return torch.channels_last if train.channels_last else torch.contiguous_format


class Trainer:
    """One training of one branched target, in one run folder."""

    def __init__(self, network: BranchedTarget, setting: TrainContext, folder: RunFolder) -> None:
        """Train `network`, which is on its device in its layout; if the folder has a state, go on from there."""
        self.network, self._setting, self.folder = network, setting, folder
        self._pixels = setting.pixels.to(setting.device)
        self._optimizer = build_optimizer(setting.train.optimizer, network)
        self._scaler = torch.amp.GradScaler(setting.device.type, enabled=setting.precision == "fp16")
        self.position = TrainState()
        if folder.last.is_file():
            self.position = load_state(folder.last, network, self._optimizer)
            if self.position.scaler:
                self._scaler.load_state_dict(dict(self.position.scaler))
        self._pending: list[dict[str, Tensor]] = []

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self._setting.device

    def run(self, feed: Feed, log: RunLog, progress: Progress, stop: StopSignal) -> None:
        """Train to the last epoch on the batches of `feed`.

        Raises:
            StopRequested: a signal came; the state is saved.
            DivergenceError: a loss is not a finite number.
        """
        epochs = self._setting.train.epochs
        weights = {name: loss.alpha for name, loss in self._setting.auxiliary.items()}
        table = EpochTable(epochs, weights, validated=self._setting.validation is not None)
        with progress.bar("train", epochs * feed.steps) as bar:
            bar.advance(self.position.epoch * feed.steps + self.position.step)
            if self.position.epoch < epochs:
                log.epoch(table.head)
            while self.position.epoch < epochs:
                start = time.perf_counter()
                try:
                    self._epoch(feed, bar, stop)
                except StopRequested:
                    self._read_pending()
                    self.position.seconds += time.perf_counter() - start
                    self._save(self.folder.last)
                    raise
                seconds = time.perf_counter() - start
                self.position.seconds += seconds
                line = self._finish_epoch(len(feed.images), seconds)
                log.metrics(line)
                log.epoch(table.row(line))
                self._note_rate(line["lr"], log)
                self._save(self.folder.last)

    def _epoch(self, feed: Feed, bar: Bar, stop: StopSignal) -> None:
        """The batches of the current epoch that are still to do."""
        epoch = self.position.epoch
        steps = feed.epoch(epoch)
        self.network.train()
        while self.position.step < len(steps):
            stop.raise_if_set()
            self.step(feed.batch(epoch, steps[self.position.step]), len(steps))
            self.position.step += 1
            last = self.position.step == len(steps)
            if self._setting.device.type == "cpu" or last or len(self._pending) == _CHECK_EVERY:
                self._read_pending()
            bar.advance()

    def step(self, batch: Batch, steps: int) -> None:
        """One batch of an epoch of `steps` steps, by equation (4)."""
        setting = self._setting
        step = self.position.epoch * steps + self.position.step
        # Dropout draws from a generator that is seeded again for each step, so no random state is saved.
        torch.manual_seed(int(np.random.SeedSequence([setting.train.seed, step]).generate_state(1, np.uint64)[0] >> 1))
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate(steps, step)
        images, labels = self._to_device(batch.images), self._to_device(batch.labels)
        with autocast(setting.device, setting.precision):
            primary, branches = self.network(self._pixels(images).contiguous(memory_format=layout(setting.train)))
        primary = primary[: len(labels)]  # unlabelled images are behind them
        sources = {name: self._to_device(logits) for name, logits in batch.soft.items()}
        terms = total_loss(primary, labels, branches, sources, setting.auxiliary)
        self._optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(terms["total"]).backward()  # type: ignore[no-untyped-call]
        self._scaler.step(self._optimizer)
        self._scaler.update()
        right = (primary.detach().argmax(dim=1) == labels).sum()
        self._pending.append({name: term.detach() * len(labels) for name, term in terms.items()} | {"right": right})

    def _rate(self, steps: int, step: int) -> float:
        """The learning rate of a step, counted over all epochs, each of `steps` steps."""
        train = self._setting.train
        if isinstance(train.schedule, Plateau):
            lowered = self.position.plateau.rate
            return train.optimizer.lr if lowered is None else lowered
        return learning_rate(train.optimizer.lr, train.schedule, train.epochs, steps, step)

    def _read_pending(self) -> None:
        """Add up the losses of the steps since the last reading; stop if one is not finite."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        names = list(pending[0])
        table = torch.stack([torch.stack([step[name].float() for name in names]) for step in pending]).cpu().tolist()
        for place, values in enumerate(table):
            terms = dict(zip(names, values, strict=True))
            if not all(map(math.isfinite, values)):
                self._diverged(self.position.step - len(table) + place, terms)
            self.position.right += int(terms.pop("right"))
            for name, value in terms.items():
                self.position.sums[name] = self.position.sums.get(name, 0.0) + value

    def _diverged(self, step: int, terms: dict[str, float]) -> None:
        shown = ", ".join(f"{name} {value:.4g}" for name, value in terms.items() if name != "right")
        halved = self._setting.train.optimizer.lr / 2
        raise DivergenceError(
            f"The loss is not a finite number at epoch {self.position.epoch + 1}, step {step + 1} (summed over the "
            f"batch: {shown}). Try a lower rate: --set train.optimizer.lr={halved:g}; full precision: "
            f"--set train.precision=fp32; or a smaller sskt.alpha. What was logged is in '{self.folder.path}'."
        )

    def _finish_epoch(self, count: int, seconds: float) -> dict[str, Any]:
        """Validate, move to the next epoch, and give the figures of this one, of `count` images."""
        position = self.position
        line: dict[str, Any] = {"epoch": position.epoch + 1, "lr": self._optimizer.param_groups[0]["lr"]}
        line["loss"] = position.sums["total"] / count
        line |= {f"loss_{name}": value / count for name, value in position.sums.items() if name != "total"}
        line |= {"train_top1": position.right / count, "seconds": seconds, "images_per_second": count / seconds}
        position.epoch, position.step, position.sums, position.right = position.epoch + 1, 0, {}, 0
        train = self._setting.train
        due = position.epoch % train.validate_every == 0 or position.epoch == train.epochs
        if self._setting.validation is not None and due:
            loss, top1 = self._validate(self._setting.validation)
            if math.isfinite(loss):  # JSON has no other numbers
                line["validation_loss"] = loss
            line["validation_top1"] = position.validation_top1 = top1
            if isinstance(train.schedule, Plateau):
                position.plateau = after_validation(position.plateau, train.schedule, train.optimizer.lr, loss)
            if position.best_top1 is None or top1 > position.best_top1:
                position.best_top1, position.best_epoch = top1, position.epoch
                self._save(self.folder.best)
        return line

    def _note_rate(self, rate: float, log: RunLog) -> None:
        """Log that a validation has lowered the rate of the epoch before."""
        lowered = self.position.plateau.rate
        if lowered is not None and lowered < rate:
            log.epoch(f"after epoch {self.position.epoch}: learning rate {rate:g} → {lowered:g}, plateau")

    def _validate(self, images: ImageSet) -> tuple[float, float]:
        """The task's mean loss on the validation images, and the share whose class comes first; in fp32."""
        self.network.eval()
        squares, right, loss = images.squares[self._setting.pixels.size], 0, 0.0
        with torch.inference_mode():
            for start in range(0, len(images), self._setting.train.batch_size):
                part = slice(start, start + self._setting.train.batch_size)
                logits = self.network.primary(self._pixels(self._to_device(squares[part])))
                labels = self._to_device(images.labels[part])
                loss += float(nn.functional.cross_entropy(logits, labels, reduction="sum"))
                right += int((logits.argmax(dim=1) == labels).sum())
        return loss / len(images), right / len(images)

    def _save(self, path: Path) -> None:
        self.position.scaler = self._scaler.state_dict()
        save_state(path, self.network, self._optimizer, self.position)

    def _to_device(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self._setting.device)


def trial_loss(recipe: Recipe, images: int, classes: int, device: torch.device) -> Callable[[nn.Module], Tensor]:
    """A loss on blank images of the recipe's size and batch (of `images` at most), to measure a training step with."""
    count, size = min(recipe.train.batch_size, images), recipe.data.image_size
    blank = torch.zeros(count, 3, size, size, device=device).contiguous(memory_format=layout(recipe.train))
    labels = torch.arange(count, device=device) % classes

    def loss(network: nn.Module) -> Tensor:
        primary, branches = network(blank)
        value = nn.functional.cross_entropy(primary.float(), labels)
        for branch in branches.values():
            value = value + branch.float().square().mean()
        return value

    return loss
