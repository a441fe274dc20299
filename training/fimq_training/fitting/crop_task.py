"""The task of the paper: name the class of each crop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from fimq.errors import ClassEmpty, ClassMixed
from fimq_training.crops.table import Crop, CropTable
from fimq_training.fitting.alterations import Alterations
from fimq_training.fitting.inputs import CropInputs, Examples

#: The classes of a binary recipe, in the paper's order.
BINARY = ("fake", "real")


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of a task by their index, and how a crop's is found."""

    names: tuple[str, ...]
    by: Literal["label", "collection"]

    @classmethod
    def of(cls, table: CropTable) -> Classes:
        """One class for each collection that there is."""
        return cls(tuple(sorted({crop.collection for crop in table.crops})), "collection")

    def name(self, crop: Crop) -> str:
        """The class of a crop."""
        if self.by == "collection":
            return crop.collection
        return BINARY[0] if crop.manipulated else BINARY[1]

    def examples(self, table: CropTable, *, balanced: bool) -> Examples:
        """The crops that belong to these classes.

        Raises:
            ClassEmpty: a class has none.
        """
        index = {name: number for number, name in enumerate(self.names)}
        mine = [crop for crop in table.crops if self.name(crop) in index]
        classes = np.array([index[self.name(crop)] for crop in mine], np.int64)
        counts = np.bincount(classes, minlength=len(self.names))
        if not counts.all():
            empty = self.names[int(np.argmin(counts))]
            raise ClassEmpty(f"The class {empty} has no images", counts=_named(self.names, counts))
        weights = len(mine) / (len(counts) * counts) if balanced else np.ones(len(counts))
        return Examples([table.path(crop) for crop in mine], classes, weights.astype(np.float32))

    def manipulated(self, table: CropTable) -> dict[str, bool]:
        """For each class, whether its crops are manipulated.

        Raises:
            ClassMixed: those of a class are both.
        """
        flags: dict[str, bool] = {}
        for crop in table.crops:
            name = self.name(crop)
            if name in self.names and flags.setdefault(name, crop.manipulated) != crop.manipulated:
                raise ClassMixed(f"The collection {name} has both real and manipulated crops")
        return flags


class CropTask:
    """Classify crops; a `Task`."""

    def __init__(
        self,
        build: Callable[[], Any],
        train: CropInputs,
        validation: CropInputs | None,
        *,
        classes: int,
        alterations: Alterations,
        smoothing: float,
    ) -> None:
        """Build nothing yet."""
        self.build = build
        self._train, self._validation = train, validation
        self._classes, self._alterations, self._smoothing = classes, alterations, smoothing

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return self._train.steps

    @property
    def has_validation(self) -> bool:
        """Whether there are validation crops."""
        return self._validation is not None

    def batches(self, epoch: int, first: int) -> Any:
        """The batches of an epoch, altered."""
        return self._train.epoch(epoch, self._alterations, first)

    def validation(self) -> Any:
        """The validation batches, unaltered."""
        if self._validation is None:
            raise RuntimeError("there are no validation crops")
        return self._validation.plain()

    def lost(self, model: Any, batch: Any, *, training: bool) -> tuple[Any, Any]:
        """Weighted categorical cross-entropy, and whether the likeliest class is the right one."""
        images, classes, weights = batch
        scores = model(tf.cast(images, tf.float32), training=training)
        goal = tf.one_hot(classes, self._classes)
        smoothing = self._smoothing if training else 0
        each = keras.losses.categorical_crossentropy(goal, scores, label_smoothing=smoothing)
        if training:
            each *= weights
        return each, tf.cast(tf.equal(tf.argmax(scores, 1), classes), tf.float32)


def _named(names: Sequence[str], counts: Any) -> dict[str, int]:
    return {name: int(count) for name, count in zip(names, counts, strict=True)}
