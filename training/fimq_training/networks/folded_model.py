"""The folded network as a Keras model, so that it is fitted as every other one is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from fimq_training.networks import folded

Weights = Mapping[str, NDArray[np.float32]]  #: by the names of `folded.shapes` and `folded.head`


class FoldedB0(keras.Model):  # type: ignore[misc] # Keras has no types
    """EfficientNet-B0 without batch norms, its classifier, and the mask head of the fit.

    With `methods` it has one more head: which of them a manipulated face was made with.
    """

    def __init__(self, start: Weights, seed: int, methods: Sequence[str] = ()) -> None:
        """Take the weights of `start`; heads that it does not have are drawn by `seed`."""
        super().__init__(name="folded_b0")
        first = {**folded.head(seed, len(methods)), **start}
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


def parameters(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
    """The arrays of a fit of `FoldedB0`, by the names of `folded`."""
    return {name.rsplit("/", 1)[-1]: array.astype(np.float32) for name, array in arrays.items()}
