"""The folded network as a Keras model, so that it is fitted as every other one is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from fimq.errors import ArraysDamaged, StartWeightsInvalid
from fimq_training.arrays import read_arrays
from fimq_training.networks import folded

Weights = Mapping[str, NDArray[np.float32]]  #: by the names of `folded.shapes` and `folded.head`
CLASSIFIER = ("head_w", "head_b")  #: of real against forged; `read` has it where a file does


class FoldedB0(keras.Model):  # type: ignore[misc] # Keras has no types
    """EfficientNet-B0 without batch norms, its classifier, and a second head.

    That one says where a forgery is or, with `methods`, by which of them it was made.
    """

    def __init__(self, start: Weights, seed: int, methods: int = 0) -> None:
        """Take the weights of `start`; heads that it does not have are drawn by `seed`."""
        super().__init__(name="folded_b0")
        first = {**folded.head(seed, methods), **start}
        self._drawn = keras.random.SeedGenerator(seed)
        self._parameters = {
            name: self.add_weight(
                shape=value.shape, initializer=keras.initializers.Constant(value), name=name
            )
            for name, value in first.items()
        }
        self.built = True

    def call(self, images: Any, training: bool = False) -> folded.Output:  # noqa: FBT001 - Keras calls it so
        """Run it on RGB images in 0..255, [N, size, size, 3] float."""
        seed = tf.cast(self._drawn.next(), tf.int32) if training else None
        return folded.forward(self._parameters, images, seed=seed)


def read(path: Path) -> dict[str, NDArray[np.float32]] | None:
    """Start weights in the folded form; None where the file is not of that form.

    Raises:
        StartWeightsInvalid: it cannot be read, or a shape or a number in it is wrong.
    """
    try:
        arrays = parameters(read_arrays(path))
    except ArraysDamaged as error:
        raise StartWeightsInvalid(f"The start weights {path} cannot be read") from error
    shapes = folded.shapes()
    if not shapes.keys() <= arrays.keys():
        return None
    shapes |= {name: value.shape for name, value in folded.head(0).items() if name in CLASSIFIER}
    shapes = {name: shape for name, shape in shapes.items() if name in arrays}
    for name, shape in shapes.items():
        if arrays[name].shape != shape or not np.isfinite(arrays[name]).all():
            raise StartWeightsInvalid(f"The start weights do not fit: {name}")
    return {name: arrays[name] for name in shapes}


def parameters(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
    """The arrays of a fit of `FoldedB0`, by the names of `folded`."""
    return {name.rsplit("/", 1)[-1]: array.astype(np.float32) for name, array in arrays.items()}
