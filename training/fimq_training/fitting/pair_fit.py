"""The fit: pairs in, weights out.

AdamW with a warm-up and a cosine, gradients clipped together, an exponential moving average
of the weights, which is what is exported. The real and the fake of a pair are always in the
same batch. A fit can be stopped at any time and goes on from its checkpoint; several fits can
start from the weights of one, and `averaged` puts their results together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from fimq_training.fitting.pools import Batch, Mixture
from fimq_training.networks import folded

Weights = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how hard."""

    steps: int
    pairs: int = 32  #: in a batch; twice as many images
    rate: float = 3e-4  #: learning rate at its peak
    warm_up: float = 0.04  #: share of the steps
    last: float = 0.02  #: of the peak rate, at the end
    weight_decay: float = 1e-3  #: not on biases
    clip: float = 1.0  #: norm of all gradients together
    smoothing: float = 0.05  #: of the labels
    ema: float = 0.997  #: kept of the average a step, once it is warm
    mask: float = 0.3  #: weight of the auxiliary mask loss
    seed: int = 1
    report: int = 50  #: steps between two reports
    keep: int = 250  #: steps between two checkpoints

    def rate_at(self, step: int) -> float:
        """The learning rate of a step."""
        done = step / self.steps
        if done < self.warm_up:
            return self.rate * done / self.warm_up
        left = (done - self.warm_up) / (1 - self.warm_up)
        return self.rate * float(self.last + (1 - self.last) * (1 + np.cos(np.pi * left)) / 2)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a fit is; loss and accuracy are means since the last report."""

    step: int
    loss: float
    accuracy: float
    rounds: list[int]  #: how often each pool was drawn as a whole


class Fit:
    """One fit, in a folder of its own that keeps its checkpoint."""

    def __init__(self, folder: Path, start: Weights, mixture: Mixture, schedule: Schedule) -> None:
        self._checkpoint, self._mixture, self._schedule = folder / "fit.npz", mixture, schedule
        folder.mkdir(parents=True, exist_ok=True)
        tf.random.set_seed(schedule.seed)
        first = {**folded.head(schedule.seed), **start}
        self._names = list(first)
        self._values = [tf.Variable(first[name]) for name in self._names]
        self._ema = [tf.Variable(first[name]) for name in self._names]
        self._mean = [tf.Variable(tf.zeros_like(value)) for value in self._values]
        self._square = [tf.Variable(tf.zeros_like(value)) for value in self._values]
        self._step = 0
        if self._checkpoint.exists():
            self._restore()
        self._update = tf.function(self._update_eagerly)

    def run(self) -> Iterator[Progress]:
        """Fit to the end of the schedule, from wherever the checkpoint is."""
        schedule, seen = self._schedule, []
        while self._step < schedule.steps:
            batch = self._mixture.batch(schedule.pairs)
            seen.append(self._one(batch))
            if self._step % schedule.report == 0 or self._step == schedule.steps:
                loss, accuracy = np.mean(seen, axis=0)
                seen = []
                self._mixture.refresh()
                yield Progress(self._step, float(loss), float(accuracy), self._mixture.rounds)
            if self._step % schedule.keep == 0 or self._step == schedule.steps:
                self._store()

    def weights(self) -> Weights:
        """The moving average of the weights, by name."""
        return {name: value.numpy() for name, value in zip(self._names, self._ema, strict=True)}

    def _one(self, batch: Batch) -> tuple[float, float]:
        self._step += 1
        kept = min(self._schedule.ema, self._step / (self._step + 9))
        loss, accuracy = self._update(
            tuple(tf.constant(part) for part in (batch.images, batch.labels, batch.masks)),
            tuple(
                tf.constant(number, tf.float32)
                for number in (self._schedule.rate_at(self._step), self._step, kept)
            ),
        )
        return float(loss), float(accuracy)

    def _update_eagerly(self, batch: tuple[Any, ...], numbers: tuple[Any, ...]) -> Any:
        """One step as tensors: (images, labels, masks) and (rate, step, share kept)."""
        (images, labels, masks), (rate, step, kept) = batch, numbers
        schedule = self._schedule
        with tf.GradientTape() as tape:
            named = dict(zip(self._names, self._values, strict=True))
            output = folded.forward(named, tf.cast(images, tf.float32), fitting=True)
            goal = labels * (1 - schedule.smoothing) + schedule.smoothing / 2
            loss = _cross_entropy(goal, output.logits)
            whole = loss + schedule.mask * _cross_entropy(masks, output.mask_logits)
        gradients, _ = tf.clip_by_global_norm(tape.gradient(whole, self._values), schedule.clip)
        self._adamw(gradients, rate, step)
        for average, value in zip(self._ema, self._values, strict=True):
            average.assign(kept * average + (1 - kept) * value)
        right = tf.equal(output.logits > 0, labels > 0.5)
        return loss, tf.reduce_mean(tf.cast(right, tf.float32))

    def _adamw(self, gradients: Sequence[Any], rate: Any, step: Any) -> None:
        first, second, tiny = 0.9, 0.999, 1e-7
        scale = rate * tf.sqrt(1 - second**step) / (1 - first**step)
        for name, value, mean, square, gradient in zip(
            self._names, self._values, self._mean, self._square, gradients, strict=True
        ):
            mean.assign_add((1 - first) * (gradient - mean))
            square.assign_add((1 - second) * (gradient * gradient - square))
            decay = 0.0 if name.endswith("_b") else rate * self._schedule.weight_decay
            value.assign_sub(scale * mean / (tf.sqrt(square) + tiny) + decay * value)

    def _groups(self) -> dict[str, list[Any]]:
        return {
            "value": self._values,
            "ema": self._ema,
            "mean": self._mean,
            "square": self._square,
        }

    def _store(self) -> None:
        arrays = {
            f"{group}/{name}": variable.numpy()
            for group, variables in self._groups().items()
            for name, variable in zip(self._names, variables, strict=True)
        }
        part = self._checkpoint.with_suffix(".part")
        with part.open("wb") as out:
            np.savez(out, step=np.array(self._step), **arrays)
        part.rename(self._checkpoint)

    def _restore(self) -> None:
        with np.load(self._checkpoint) as stored:
            self._step = int(stored["step"])
            for group, variables in self._groups().items():
                for name, variable in zip(self._names, variables, strict=True):
                    variable.assign(stored[f"{group}/{name}"])


def save_weights(weights: Weights, path: Path) -> None:
    """Write weights to an npz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as out:
        np.savez(out, **weights)  # type: ignore[arg-type] # the stub's keyword is allow_pickle


def load_weights(path: Path) -> Weights:
    """Read weights from an npz."""
    with np.load(path) as stored:
        return {name: stored[name] for name in stored.files}


def averaged(several: Sequence[Weights]) -> Weights:
    """The mean of weights that started from one ancestor."""
    return {
        name: np.mean([weights[name] for weights in several], axis=0).astype(np.float32)
        for name in several[0]
    }


def _cross_entropy(goal: Any, logits: Any) -> Any:
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(goal, logits))
