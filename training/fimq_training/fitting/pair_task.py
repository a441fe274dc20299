"""The task of `fimq-default`: tell a forged crop from its own original, and show where.

The real and the fake of a pair are always in one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from fimq_training.fitting.pair_inputs import Mixture

MASK = 0.3  #: weight of the auxiliary mask loss
CELL = 16  #: pixels of a crop in a cell of the mask head's map


class PairTask:
    """A `Task` without validation: held-out video judges it, not held-out pairs."""

    def __init__(
        self,
        build: Callable[[], Any],
        mixture: Mixture,
        *,
        steps: int,
        smoothing: float,
        size: int = 128,
    ) -> None:
        """`steps` make an epoch; `size` of a crop, in pixels."""
        self.build, self.steps = build, steps
        self._mixture, self._smoothing, self._size = mixture, smoothing, size

    @property
    def has_validation(self) -> bool:
        """False."""
        return False

    def batches(self, epoch: int, first: int) -> Any:
        """The batches of an epoch."""
        begin, end = (epoch - 1) * self.steps + first, epoch * self.steps

        def drawn() -> Iterator[tuple[Any, Any, Any]]:
            for batch in self._mixture.batches(begin, end):
                yield batch.images, batch.labels, batch.masks

        signature = (
            tf.TensorSpec([None, self._size, self._size, 3], tf.uint8),
            tf.TensorSpec([None], tf.float32),
            tf.TensorSpec([None, self._size // CELL, self._size // CELL], tf.float32),
        )
        return tf.data.Dataset.from_generator(drawn, output_signature=signature).prefetch(4)

    def validation(self) -> Any:
        """Nothing to give."""
        raise RuntimeError("pairs have no validation")

    def lost(self, model: Any, batch: Any, *, training: bool) -> tuple[Any, Any]:
        """Cross-entropy of the label and, less, of where: a mean over the map's cells."""
        images, labels, masks = batch
        output = model(tf.cast(images, tf.float32), training=training)
        goal = labels * (1 - self._smoothing) + self._smoothing / 2
        each = tf.nn.sigmoid_cross_entropy_with_logits(goal, output.logits)
        where = tf.nn.sigmoid_cross_entropy_with_logits(masks, output.mask_logits)
        right = tf.equal(output.logits > 0, labels > 0.5)
        return each + MASK * tf.reduce_mean(where, [1, 2]), tf.cast(right, tf.float32)


def between(
    before: Mapping[str, NDArray[np.float32]], after: Mapping[str, NDArray[np.float32]], kept: float
) -> dict[str, NDArray[np.float32]]:
    """The weights of a fit drawn back to those that it went on from, which keep a share.

    What the fit brought stays for the most part, and so does what it would have cost: Wortsman et
    al., "Robust fine-tuning of zero-shot models", 2022.
    """
    return {
        name: (kept * value + (1 - kept) * after[name]).astype(np.float32)
        for name, value in before.items()
    }


def averaged(several: list[dict[str, np.ndarray[Any, Any]]]) -> dict[str, np.ndarray[Any, Any]]:
    """The mean of the weights of fits that started from one ancestor.

    Wortsman et al., "Model soups", 2022.
    """
    return {
        name: np.mean([weights[name] for weights in several], axis=0).astype(np.float32)
        for name in several[0]
    }
