"""The fit: a task and a plan in, weights out, in a folder of its own.

    state.npz           everything to go on exactly where it was (`checkpoint`)
    log.csv, curves.png one row an epoch, and its picture
    tensorboard/        the same for TensorBoard
    best.npz            weights of the epoch with the least validation loss
    weights.npz         weights of the end; with a moving average, the average

It can be killed at any time; the same call goes on at the last checkpoint and leaves the curve
that an unbroken run leaves, for whatever is random is a function of seed and step or part of
the checkpoint. Only arrays are stored: the architecture is code.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import structlog
import tensorflow as tf

from fimq.errors import CheckpointDamaged, LossNotFinite
from fimq_training.arrays import Arrays, write_arrays
from fimq_training.fitting.checkpoint import Checkpoints
from fimq_training.fitting.curves import draw
from fimq_training.fitting.history import Epoch, History
from fimq_training.fitting.plan import Plan
from fimq_training.fitting.task import Task
from fimq_training.networks.names import by_name

log = structlog.get_logger(__name__)

REPORT_S = 2.0  #: between two reports


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a fit is. Loss and accuracy are means of this epoch so far."""

    epoch: int  #: from 1
    epochs: int
    step: int  #: done of this epoch
    steps: int
    loss: float
    accuracy: float
    images_per_s: float
    finished: Epoch | None = None  #: what came out of the epoch, at its end


@dataclass(slots=True)
class _Sums:
    """Of the epoch so far."""

    loss: float = 0.0
    right: float = 0.0
    count: float = 0.0


class Fit:
    """One fit."""

    def __init__(self, folder: Path, task: Task, plan: Plan, seed: int) -> None:
        """Build the model, and go back to the last checkpoint if there is one.

        Raises:
            CheckpointDamaged: there are checkpoints and none can be read, or they are not of
                this model.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._task, self._plan = folder, task, plan
        # Costs nothing that could be measured, and a resumed fit is equal to the last bit.
        tf.config.experimental.enable_op_determinism()
        keras.backend.clear_session()  # layers that Keras numbers itself get one name each time
        keras.utils.set_random_seed(seed)
        keras.config.set_dtype_policy(plan.precision)
        self._strategy = _every_device() if plan.devices == "all" else tf.distribute.get_strategy()
        with self._strategy.scope():
            self.model = task.build()
            self._optimizer = _optimizer(plan)
            self._optimizer.build(self.model.trainable_variables)
        self._checkpoints = Checkpoints(folder)
        self.history = History()
        self._step, self._sums = 0, _Sums()  # steps done, all epochs together
        self._restore()
        self._train = tf.function(self._train_eagerly, reduce_retracing=True)
        self._judge = tf.function(self._judge_eagerly, reduce_retracing=True)

    @property
    def replicas(self) -> int:
        """Devices that share each batch."""
        return int(self._strategy.num_replicas_in_sync)

    def run(self) -> Iterator[Progress]:
        """Fit to the end of the plan, or until validation gets no better for too long.

        Raises:
            LossNotFinite: the loss is not a number; the checkpoints are of before.
            DiskFull: a file found no room; the checkpoints of before are there.
        """
        steps, plan = self._task.steps, self._plan
        if self.history.epochs:
            self._show()  # who stopped between a checkpoint and its row has the row now
        writer = tf.summary.create_file_writer(str(self._folder / "tensorboard"))
        with writer.as_default():
            while self._step < plan.epochs * steps and not self.history.is_over(plan.patience):
                yield from self._epoch(self._step // steps + 1)
        self._write_weights("weights.npz")
        writer.close()

    def weights(self) -> dict[str, np.ndarray[Any, Any]]:
        """The model's arrays as they are to be used: moving averages where the plan has them."""
        averages = self._averages()
        return {
            name: np.asarray(averages.get(name, variable.value))
            for name, variable in by_name(self.model.weights).items()
        }

    def _epoch(self, number: int) -> Iterator[Progress]:
        steps = self._task.steps
        first = self._step - (number - 1) * steps
        data = self._strategy.experimental_distribute_dataset(self._task.batches(number, first))
        began, seen, told = time.monotonic(), 0.0, time.monotonic()
        rate = 0.0
        for batch in data:
            rate = self._plan.rate_at(self._step, self._plan.epochs * steps)
            seen += self._one(batch, rate)
            done = self._step - (number - 1) * steps
            if self._step % self._plan.keep == 0 and done < steps:
                self._save()
            if time.monotonic() - told > REPORT_S or done == steps:
                told = time.monotonic()
                yield self._progress(number, done, seen / (told - began))
        ended = self._ended(number, rate)
        yield self._progress(number, steps, seen / (time.monotonic() - began), ended)
        self._sums = _Sums()

    def _one(self, batch: Any, rate: float) -> float:
        """One step; returns how many examples it saw."""
        self._optimizer.learning_rate.assign(rate)
        loss, right, count = (float(part) for part in self._train(batch))
        if not np.isfinite(loss):
            raise LossNotFinite(f"The loss of step {self._step + 1} is {loss / count}")
        self._step += 1
        self._sums.loss += loss
        self._sums.right += right
        self._sums.count += count
        return count

    def _ended(self, number: int, rate: float) -> Epoch:
        """Judge the epoch, and store everything."""
        val_loss, val_accuracy = self._validate() if self._task.has_validation else (None, None)
        epoch = Epoch(
            epoch=number,
            step=self._step,
            rate=rate,
            loss=self._sums.loss / self._sums.count,
            accuracy=self._sums.right / self._sums.count,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
        )
        if val_loss is not None and not np.isfinite(val_loss):
            raise LossNotFinite(f"The validation loss of epoch {number} is {val_loss}")
        self.history.add(epoch)
        if self.history.best is epoch:
            self._write_weights("best.npz")
        self._sums = _Sums()
        self._save()
        self._show()
        for name in ("loss", "accuracy", "val_loss", "val_accuracy", "rate"):
            value = getattr(epoch, name)
            if value is not None:
                tf.summary.scalar(name, value, step=number)
        return epoch

    def _show(self) -> None:
        """Write down what the history has."""
        self.history.write_csv(self._folder / "log.csv")
        draw(self.history, self._folder / "curves.png")

    def _validate(self) -> tuple[float, float]:
        kept = self._swap_in_averages()
        sums = np.zeros(3)
        for batch in self._strategy.experimental_distribute_dataset(self._task.validation()):
            sums += [float(part) for part in self._judge(batch)]
        for variable, value in kept:
            variable.assign(value)
        return float(sums[0] / sums[2]), float(sums[1] / sums[2])

    def _progress(
        self, number: int, done: int, images_per_s: float, ended: Epoch | None = None
    ) -> Progress:
        count = max(self._sums.count, 1)
        return Progress(
            epoch=number,
            epochs=self._plan.epochs,
            step=done,
            steps=self._task.steps,
            loss=ended.loss if ended else self._sums.loss / count,
            accuracy=ended.accuracy if ended else self._sums.right / count,
            images_per_s=images_per_s,
            finished=ended,
        )

    def _train_eagerly(self, batch: Any) -> Any:
        """One step as tensors; sums over all devices of loss, right ones, examples."""

        def replica(part: Any) -> Any:
            context = tf.distribute.get_replica_context()
            mine = tf.cast(tf.shape(part[0])[0], tf.float32)
            whole = context.all_reduce(tf.distribute.ReduceOp.SUM, mine)
            with tf.GradientTape() as tape:
                each, right = self._task.lost(self.model, part, training=True)
                # Gradients of all devices are added up.
                loss = tf.reduce_sum(tf.cast(each, tf.float32)) / whole
                extra = sum(self.model.losses, start=tf.constant(0.0)) / self.replicas
                scaled = self._optimizer.scale_loss(loss + extra)
            variables = self.model.trainable_variables
            self._optimizer.apply(tape.gradient(scaled, variables), variables)
            # What is reported is what is minimised: penalties of the weights included.
            return loss * whole + extra * whole, tf.reduce_sum(right), mine

        return self._summed(self._strategy.run(replica, args=(batch,)))

    def _judge_eagerly(self, batch: Any) -> Any:
        def replica(part: Any) -> Any:
            each, right = self._task.lost(self.model, part, training=False)
            count = tf.cast(tf.shape(part[0])[0], tf.float32)
            extra = sum(self.model.losses, start=tf.constant(0.0))
            return (
                tf.reduce_sum(tf.cast(each, tf.float32)) + extra * count,
                tf.reduce_sum(right),
                count,
            )

        return self._summed(self._strategy.run(replica, args=(batch,)))

    def _summed(self, values: Any) -> Any:
        return [
            self._strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None) for value in values
        ]

    def _averages(self) -> dict[str, Any]:
        """The moving averages by the names of the weights; none without them in the plan."""
        inner = getattr(self._optimizer, "inner_optimizer", self._optimizer)
        if not inner.use_ema:
            return {}
        names = by_name(self.model.weights)
        trainable = {id(variable): name for name, variable in names.items()}
        pairs = zip(
            self.model.trainable_variables,
            inner._model_variables_moving_average,  # noqa: SLF001 - Keras shows it nowhere else
            strict=True,
        )
        return {trainable[id(variable)]: average.value for variable, average in pairs}

    def _swap_in_averages(self) -> list[tuple[Any, Any]]:
        """Put the averages into the model; returns what was there."""
        variables, kept = by_name(self.model.weights), []
        for name, average in self._averages().items():
            kept.append((variables[name], np.asarray(variables[name].value)))
            variables[name].assign(average)
        return kept

    def _write_weights(self, name: str) -> None:
        write_arrays(self._folder / name, self.weights())

    def _state(self) -> dict[str, Any]:
        """Every variable: weights, seeds, moments, averages."""
        groups = {"model": self.model.variables, "optimizer": self._optimizer.variables}
        return {
            f"{group}/{index:04d}": variable
            for group, variables in groups.items()
            for index, variable in enumerate(variables)
        }

    def _save(self) -> None:
        sums = [self._sums.loss, self._sums.right, self._sums.count]
        arrays: Arrays = {
            **{name: np.asarray(variable.value) for name, variable in self._state().items()},
            "step": np.array(self._step),
            "sums": np.array(sums),
            "history": np.array(self.history.to_json()),
        }
        self._checkpoints.save(arrays)

    def _restore(self) -> None:
        arrays = self._checkpoints.load()
        if arrays is None:
            return
        state = self._state()
        fits = state.keys() == arrays.keys() - {"step", "sums", "history"} and all(
            tuple(variable.shape) == arrays[name].shape for name, variable in state.items()
        )
        if not fits:
            raise CheckpointDamaged("The checkpoint is of another network or plan")
        for name, variable in state.items():
            variable.assign(arrays[name])
        self._step = int(arrays["step"])
        self._sums = _Sums(*map(float, arrays["sums"]))
        self.history = History.from_json(str(arrays["history"]))


def _every_device() -> Any:
    """Every GPU, or the CPU where there is none: each batch is shared among them."""
    devices = tf.config.list_logical_devices("GPU")
    if not devices:
        log.warning("the recipe is for GPUs and none was found: it is fitted on the CPU")
        devices = tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def _optimizer(plan: Plan) -> Any:
    average = {"use_ema": True, "ema_momentum": plan.ema} if plan.ema else {}
    common = {"learning_rate": plan.rate, "global_clipnorm": plan.clip, **average}
    if plan.optimizer == "adam":
        optimizer = keras.optimizers.Adam(**common)
    else:
        optimizer = keras.optimizers.AdamW(weight_decay=plan.weight_decay, **common)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "_b"])
    if plan.precision == "mixed_float16":
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer
