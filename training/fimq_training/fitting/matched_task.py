"""The task of `fimq-supervised`: tell a fake from its own original, and name the method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from fimq_training.fitting.alterations import Alterations
from fimq_training.fitting.matched_inputs import MatchedInputs

METHOD = 0.3  #: weight of the loss of the method


class MatchedTask:
    """A `Task`; its network is `FoldedB0` with a head for methods."""

    def __init__(
        self,
        build: Callable[[], Any],
        train: MatchedInputs,
        validation: MatchedInputs | None,
        *,
        steps: int,
        shares: Sequence[float],
        alterations: Alterations,
        smoothing: float,
    ) -> None:
        """`steps` make an epoch; `shares` are those of the methods in a batch."""
        self.build, self.steps = build, steps
        self._train, self._validation = train, validation
        self._shares, self._alterations, self._smoothing = shares, alterations, smoothing

    @property
    def has_validation(self) -> bool:
        """Whether there are validation crops."""
        return self._validation is not None

    def batches(self, epoch: int, first: int) -> Any:
        """The batches of an epoch."""
        return self._train.drawn(
            self._shares, self._alterations, epoch=epoch, first=first, steps=self.steps
        )

    def validation(self) -> Any:
        """The validation batches, unaltered."""
        if self._validation is None:
            raise RuntimeError("there are no validation crops")
        return self._validation.plain()

    def lost(self, model: Any, batch: Any, *, training: bool) -> tuple[Any, Any]:
        """Cross-entropy of the label and, of fakes and less, of the method."""
        images, labels, methods = batch
        output = model(tf.cast(images, tf.float32), training=training)
        smoothing = self._smoothing if training else 0.0
        goal = labels * (1 - smoothing) + smoothing / 2
        each = tf.nn.sigmoid_cross_entropy_with_logits(goal, output.logits)
        which = tf.nn.sparse_softmax_cross_entropy_with_logits(methods, output.method_logits)
        right = tf.equal(output.logits > 0, labels > 0.5)
        return each + METHOD * labels * which, tf.cast(right, tf.float32)
