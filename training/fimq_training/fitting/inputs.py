"""Inputs of a fit: crops from disk to batches, by tf.data.

Everything random here is a function of (seed, epoch, place in the epoch), so that a fit which
is taken up in the middle of an epoch sees what it would have seen. The alterations are those
of Keras's ImageDataGenerator, which the paper used: a mirror, a zoom of each axis by itself, a
shear, the border repeated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from fimq_training.fitting.alterations import Alterations


@dataclass(frozen=True, slots=True)
class Examples:
    """Files with the index of their class."""

    paths: Sequence[Path]
    classes: NDArray[np.int64]
    weights: NDArray[np.float32]  #: of each class in the loss

    def __len__(self) -> int:
        return len(self.paths)


class CropInputs:
    """Batches (images uint8 [N, size, size, 3], class [N], weight [N])."""

    def __init__(self, examples: Examples, *, size: int, batch: int, seed: int) -> None:
        """Read nothing yet."""
        self._examples, self._size, self._batch, self._seed = examples, size, batch, seed
        self._paths = np.array([str(path) for path in examples.paths])

    @property
    def steps(self) -> int:
        """Batches in an epoch; the last one may be smaller."""
        return math.ceil(len(self._examples) / self._batch)

    def epoch(self, number: int, alterations: Alterations, first: int = 0) -> Any:
        """The batches of an epoch in an order of its own, from batch `first` on."""
        order = np.random.default_rng([self._seed, number]).permutation(len(self._examples))
        places = np.arange(len(order))[first * self._batch :]

        def read(place: Any, path: Any, index: Any, weight: Any) -> Any:
            seed = tf.stack([(self._seed * 100_003 + number) % 2**31, tf.cast(place, tf.int32)])
            return altered(load(path, self._size), alterations, seed), index, weight

        rows = order[places]
        data = tf.data.Dataset.from_tensor_slices((places, *self._columns(rows)))
        return self._batched(data.map(read, num_parallel_calls=tf.data.AUTOTUNE))

    def plain(self) -> Any:
        """All batches in the order of the examples, unaltered."""

        def read(path: Any, index: Any, weight: Any) -> Any:
            return load(path, self._size), index, weight

        rows = np.arange(len(self._examples))
        data = tf.data.Dataset.from_tensor_slices(self._columns(rows))
        return self._batched(data.map(read, num_parallel_calls=tf.data.AUTOTUNE))

    def _columns(self, rows: NDArray[np.int64]) -> tuple[Any, ...]:
        examples = self._examples
        classes = examples.classes[rows]
        return self._paths[rows], classes, examples.weights[classes]

    def _batched(self, data: Any) -> Any:
        return data.batch(self._batch).prefetch(tf.data.AUTOTUNE)


def load(path: Any, size: int) -> Any:
    """A crop from its file, uint8 [size, size, 3]."""
    image = tf.io.decode_png(tf.io.read_file(path), channels=3)
    if image.shape[:2] != (size, size):
        # Keras's generator takes the nearest pixel; by area, a shrunk crop is what the worker
        # would have cut.
        image = tf.image.resize(image, (size, size), tf.image.ResizeMethod.AREA)
        image = tf.cast(tf.round(image), tf.uint8)
    return image


def altered(image: Any, alterations: Alterations, seed: Any) -> Any:
    """One crop, altered by a draw that `seed` [2] decides."""
    drawn = tf.random.stateless_uniform([4], seed)
    if alterations.flip:
        image = tf.cond(drawn[0] < 0.5, lambda: image[:, ::-1], lambda: image)
    if alterations.zoom or alterations.shear:
        reach = alterations.zoom
        zoom_x, zoom_y = (1 - reach + 2 * reach * drawn[i] for i in (1, 2))
        shear = math.radians(alterations.shear) * (2 * drawn[3] - 1)
        image = _warped(image, zoom_x, zoom_y, shear)
    return image


def _warped(image: Any, zoom_x: Any, zoom_y: Any, shear: Any) -> Any:
    """Sheared and then zoomed about the middle; border pixels are repeated."""
    side = tf.cast(tf.shape(image)[0], tf.float32)
    middle = (side - 1) / 2
    a, b = zoom_x, -tf.sin(shear) * zoom_x
    d, e = tf.zeros_like(a), tf.cos(shear) * zoom_y
    c, f = middle - a * middle - b * middle, middle - d * middle - e * middle
    transform = tf.stack([a, b, c, d, e, f, 0.0, 0.0])
    warped = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(image[None], tf.float32),
        transforms=transform[None],
        output_shape=tf.shape(image)[:2],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )[0]
    return tf.cast(tf.round(warped), tf.uint8)
