"""The training loop: views, soft labels, steps, and a state from which a training continues bit for bit."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sskt_edge.common.errors import DivergenceError
from sskt_edge.common.progress import Bar, Progress
from sskt_edge.data.images import ImageSet
from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.methods.learner import Learner, Outputs
from sskt_edge.recipe.models import TrainOptions
from sskt_edge.recipe.precision import Precision
from sskt_edge.targets.precision import autocast
from sskt_edge.targets.run_layout import RunFolder
from sskt_edge.tasks.task import Task
from sskt_edge.training.ema import Average
from sskt_edge.training.epoch_table import EpochTable
from sskt_edge.training.feed import Batch, Feed
from sskt_edge.training.input_changes import changed_input, draw_changes
from sskt_edge.training.learner import layout
from sskt_edge.training.mixing import Mix, Taught, draw_mix, mixed_input, mixed_terms
from sskt_edge.training.optimizers import build_optimizer
from sskt_edge.training.run_log import RunLog
from sskt_edge.training.schedules.schedule import Place, build_schedule
from sskt_edge.training.signals import StopRequested
from sskt_edge.training.state import TrainState, load_state, save_state

# Reading a loss stalls a GPU, so on a GPU the losses of this many steps are read at once.
_CHECK_EVERY = 20


class BatchLoss(NamedTuple):
    """The task's loss with the weights of a batch, in the form that a learner gets.

    Attributes:
        task: the task that says what the labels mean.
        class_weights: float32 [K], or None.
        image_weights: float32 [B], or None.
    """

    task: Task
    class_weights: Tensor | None = None
    image_weights: Tensor | None = None

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The mean loss over the batch. [B,K], the labels of B images → scalar."""
        return self.task.loss(logits, labels, self.class_weights, self.image_weights)

    def divergence(self, logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """The divergence of each image's probabilities from a teacher's; see `Task.divergence`. [N,K], [N,K] → [N]."""
        return self.task.divergence(logits, teacher, temperature)


@dataclass(frozen=True)
class TrainContext:
    """The constant inputs of a training.

    Attributes:
        train: the recipe's [train].
        validation: the images that choose the best checkpoint, or None.
        task: the task that says what the labels mean.
        class_weights: the weight of each class in the task's loss, float32 [K]; None if all are equal.
        pixels: the target's preprocessing.
        device: the device that it runs on.
        precision: the precision of the forward pass.
    """

    train: TrainOptions
    validation: ImageSet | None
    task: Task
    class_weights: Tensor | None
    pixels: Pixels
    device: torch.device
    precision: Precision


class Trainer:
    """One training of one learner, in one run folder."""

    def __init__(self, learner: Learner, context: TrainContext, folder: RunFolder) -> None:
        """Train `learner`, which is on its device in its layout; if the folder has a state, continue from it."""
        self.learner, self._context, self.folder = learner, context, folder
        self._pixels = context.pixels.to(context.device)
        self._optimizer = build_optimizer(context.train.optimizer, learner)
        self._schedule = build_schedule(context.train.schedule, context.train.optimizer.lr)
        self._scaler = torch.amp.GradScaler(context.device.type, enabled=context.precision == "fp16")
        self._average = Average(learner, context.train.ema) if context.train.ema > 0 else None
        self.state = TrainState()
        if folder.last.is_file():
            self.state = load_state(folder.last, learner, self._optimizer, self._averaged)
            if self.state.scaler:
                self._scaler.load_state_dict(dict(self.state.scaler))
        self._pending: list[dict[str, Tensor]] = []

    @property
    def device(self) -> torch.device:
        """The device that it runs on."""
        return self._context.device

    @property
    def _averaged(self) -> Learner | None:
        """The learner with the averaged weights; None without train.ema."""
        return None if self._average is None else self._average.network

    def run(self, feed: Feed, log: RunLog, progress: Progress) -> None:
        """Train to the last epoch on the batches of `feed`. With train.ema, the learner then has the averaged weights.

        Raises:
            StopRequested: the bar of `progress` raised it, since a signal came; the state is saved.
            DivergenceError: a loss is not a finite number.
        """
        epochs = self._context.train.epochs
        metric = None if self._context.validation is None else self._context.task.metric
        table = EpochTable(epochs, self.learner.weights, metric)
        start = time.perf_counter()
        try:
            with progress.bar("train", epochs * feed.steps) as bar:
                bar.advance(self.state.epoch * feed.steps + self.state.step)
                if self.state.epoch < epochs:
                    log.epoch(table.head)
                while self.state.epoch < epochs:
                    start = time.perf_counter()
                    self._epoch(feed, bar)
                    seconds = time.perf_counter() - start
                    self.state.seconds += seconds
                    line = self._finish_epoch(len(feed.images), feed.steps, self.state.epoch_seconds + seconds)
                    log.metrics(line)
                    log.epoch(table.row(line))
                    self._note_rate(line["lr"], log)
                    self._save()
        except StopRequested:
            self._read_pending()
            seconds = time.perf_counter() - start
            self.state.seconds += seconds
            self.state.epoch_seconds += seconds
            self._save()
            raise
        if self._averaged is not None:  # only here: the state that is saved needs both
            self.learner.load_state_dict(self._averaged.state_dict())

    def _epoch(self, feed: Feed, bar: Bar) -> None:
        """Train on the remaining batches of the current epoch."""
        epoch = self.state.epoch
        steps = feed.epoch(epoch)
        self.learner.train()
        while self.state.step < len(steps):
            self.step(feed.batch(epoch, steps[self.state.step]), len(steps))
            self.state.step += 1
            last = self.state.step == len(steps)
            if self._context.device.type == "cpu" or last or len(self._pending) == _CHECK_EVERY:
                self._read_pending()
            bar.advance()

    def step(self, batch: Batch, steps: int) -> None:
        """Train on one batch of an epoch of `steps` steps, by equation (4)."""
        context = self._context
        step = self.state.epoch * steps + self.state.step
        # Dropout draws from a generator that is seeded for each step, so no random state has to be saved.
        torch.manual_seed(int(np.random.SeedSequence([context.train.seed, step]).generate_state(1, np.uint64)[0] >> 1))
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate(step, steps)
        outputs, mix = self._outputs(batch, step)
        terms, labels = mixed_terms(mix, self._taught(batch), lambda taught: self._terms(outputs, taught))
        self._optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(terms["total"]).backward()  # type: ignore[no-untyped-call]
        self._scaler.step(self._optimizer)
        self._scaler.update()
        if self._average is not None:
            self._average.update(step + 1)
        correct = context.task.correct(outputs.primary.detach()[: len(labels)], labels)
        self._pending.append({name: term.detach() * len(labels) for name, term in terms.items()} | {"correct": correct})

    def _rate(self, step: int, steps: int) -> float:
        """The learning rate of a step of the training, with `steps` steps in an epoch."""
        return self._schedule.rate(Place(step, steps, self._context.train.epochs), self.state.schedule)

    def _outputs(self, batch: Batch, step: int) -> tuple[Outputs, Mix | None]:
        """The learner's outputs for a batch as train.input and train.mixing change it, and how it was mixed."""
        train, size, images = self._context.train, self._context.pixels.size, len(batch.images)
        changes = draw_changes(train.input, train.seed, step, images, size)
        mix = draw_mix(train.mixing, train.seed, step, len(batch.labels), images, size)
        with autocast(self._context.device, self._context.precision):
            planes = mixed_input(changed_input(self._to_device(batch.images), self._pixels, changes), mix)
            return self.learner(planes.contiguous(memory_format=layout(train, planes.dim()))), mix

    def _taught(self, batch: Batch) -> Taught:
        soft = {name: self._to_device(logits) for name, logits in batch.soft.items()}
        weights = None if batch.weights is None else self._to_device(batch.weights)
        return Taught(self._to_device(batch.labels), soft, weights)

    def _terms(self, outputs: Outputs, taught: Taught) -> dict[str, Tensor]:
        """The learner's loss terms for its outputs."""
        task = BatchLoss(self._context.task, self._context.class_weights, taught.weights)
        return self.learner.losses(outputs, taught.labels, taught.soft, task)

    def _read_pending(self) -> None:
        """Add up the losses of the steps since the last reading, and stop if one is not finite."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        names = list(pending[0])
        table = torch.stack([torch.stack([step[name].float() for name in names]) for step in pending]).cpu().tolist()
        for place, values in enumerate(table):
            terms = dict(zip(names, values, strict=True))
            if not all(map(math.isfinite, values)):
                self._diverged(self.state.step - len(table) + place, terms)
            self.state.correct += int(terms.pop("correct"))
            for name, value in terms.items():
                self.state.sums[name] = self.state.sums.get(name, 0.0) + value

    def _diverged(self, step: int, terms: dict[str, float]) -> None:
        shown = ", ".join(f"{name} {value:.4g}" for name, value in terms.items() if name != "correct")
        halved = self._context.train.optimizer.lr / 2
        raise DivergenceError(
            f"The loss is not a finite number at epoch {self.state.epoch + 1}, step {step + 1} (summed over the "
            f"batch: {shown}). Try a lower learning rate: --set train.optimizer.lr={halved:g}; full precision: "
            f"--set train.precision=fp32; or a smaller method.alpha. The log is in '{self.folder.path}'."
        )

    def _finish_epoch(self, count: int, steps: int, seconds: float) -> dict[str, Any]:
        """Validate, move to the next epoch, and return the figures of this one: of `count` images, in `steps` steps."""
        state = self.state
        last = (state.epoch + 1) * steps - 1
        line: dict[str, Any] = {"epoch": state.epoch + 1, "lr": self._rate(last, steps)}
        line["loss"] = state.sums["total"] / count
        line |= {f"loss_{name}": value / count for name, value in state.sums.items() if name != "total"}
        line |= {"train_correct": state.correct / count, "seconds": seconds, "images_per_second": count / seconds}
        state.epoch, state.step, state.sums, state.correct, state.epoch_seconds = state.epoch + 1, 0, {}, 0, 0.0
        train = self._context.train
        due = state.epoch % train.validate_every == 0 or state.epoch == train.epochs
        if self._context.validation is not None and due:
            loss, value = self._validate(self._context.validation)
            if math.isfinite(loss):  # JSON has only finite numbers
                line["validation_loss"] = loss
            line[f"validation_{self._context.task.metric}"] = state.validation_metric = value
            state.schedule = self._schedule.after_validation(state.schedule, loss)
            if state.best_metric is None or value > state.best_metric:
                state.best_metric, state.best_epoch = value, state.epoch
                self._save_best()
        return line

    def _note_rate(self, rate: float, log: RunLog) -> None:
        """Log it if the validation has lowered the learning rate."""
        lowered = self.state.schedule.rate
        if lowered is not None and lowered < rate:
            schedule = self._context.train.schedule.name
            log.epoch(f"after epoch {self.state.epoch}: learning rate {rate:g} → {lowered:g}, {schedule}")

    def _validate(self, images: ImageSet) -> tuple[float, float]:
        """The task's mean loss and its metric on the validation images, in fp32, of the averaged network if any."""
        network = (self._averaged or self.learner).eval()
        context, resized, loss, answers = self._context, images.resized[self._context.pixels.size], 0.0, []
        with torch.inference_mode():
            for start in range(0, len(images), context.train.batch_size):
                part = slice(start, start + context.train.batch_size)
                logits = network.primary(self._pixels(self._to_device(resized[part])))
                labels = self._to_device(images.labels[part])
                loss += float(context.task.loss(logits, labels, reduction="sum"))
                answers.append(logits.float().cpu().numpy())
        known = max(1, int(context.task.known(images.labels).sum()))
        return loss / known, context.task.value(np.concatenate(answers), images.labels)

    def _save(self) -> None:
        """Save the state that a resumed training continues from."""
        self.state.scaler = self._scaler.state_dict()
        save_state(self.folder.last, self.learner, self._optimizer, self.state, self._averaged)

    def _save_best(self) -> None:
        """Save the network that was validated, as the one that a finished run keeps."""
        self.state.scaler = self._scaler.state_dict()
        save_state(self.folder.best, self._averaged or self.learner, self._optimizer, self.state)

    def _to_device(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self._context.device)
