"""The task of a painter: paint a region of a real face as it was.

What is lost is the difference of pixels and of the first maps of the start weights, as
renderers of faces are fitted (Johnson et al., "Perceptual Losses", 2016, with another network).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.random import Generator
from numpy.typing import NDArray

from fimq_training.manipulations.landmarks import Pixels
from fimq_training.manipulations.masks import region_mask
from fimq_training.manipulations.painting import Canvas, coarse, drawn, hidden
from fimq_training.manipulations.pairs import placed
from fimq_training.manipulations.samples import SampleSet
from fimq_training.networks import folded
from fimq_training.networks.painter import Upsampling, painter

SIDE = 128  #: of the windows that it is fitted on, in pixels
FACE = (80, 190)  #: width of a face in pixels
#: Regions, and how often each is painted. A mouth is mostly hidden, the others are coarse.
REGIONS = {"mouth": 0.25, "lower": 0.25, "face": 0.15, "inner": 0.15, "oval": 0.10, "eyes": 0.10}
HIDES = ("mouth", "lower")
HIDDEN = 0.8  #: share of these that is hidden
LEAST = 0.5  #: of a forgery, somewhere in a region that is worth painting
RIGHT = 10.0  #: grey levels of mean error within which a region counts as painted right
PIXELS, MAPS = 0.1, 1.2  #: weights of a grey level, and of all of a map's mean


class PainterTask:
    """A `Task` without validation."""

    def __init__(
        self,
        samples: SampleSet,
        start: Mapping[str, NDArray[np.float32]],
        upsampling: Upsampling,
        *,
        steps: int,
        batch: int,
        seed: int,
    ) -> None:
        """`start` are the start weights, in the folded form; `steps` make an epoch."""
        self.steps, self._batch, self._seed = steps, batch, seed
        self._samples, self._upsampling = samples, upsampling
        self._start = {name: tf.constant(value) for name, value in start.items()}

    @property
    def has_validation(self) -> bool:
        """False."""
        return False

    def build(self) -> Any:
        """A new painter."""
        return painter(self._upsampling)

    def batches(self, epoch: int, first: int) -> Any:
        """The batches of an epoch: canvases and what they were."""
        begin, end = (epoch - 1) * self.steps + first, epoch * self.steps

        def shown() -> Iterator[tuple[Any, Any]]:
            for step in range(begin, end):
                rng = np.random.default_rng([self._seed, step])
                drawn_ones = [self.window(rng) for _ in range(self._batch)]
                yield (
                    np.stack([canvas.channels() for canvas, _ in drawn_ones]),
                    np.stack([window for _, window in drawn_ones]),
                )

        signature = tuple(tf.TensorSpec([None, SIDE, SIDE, n], tf.uint8) for n in (5, 3))
        return tf.data.Dataset.from_generator(shown, output_signature=signature).prefetch(4)

    def validation(self) -> Any:
        """Nothing to give."""
        raise RuntimeError("painters have no validation")

    def lost(self, model: Any, batch: Any, *, training: bool) -> tuple[Any, Any]:
        """Mean difference inside the region, and of the maps for their size; no nats."""
        canvas, window = (tf.cast(part, tf.float32) for part in batch)
        painted = model(canvas, training=training)
        region = canvas[..., 3:4] / 255
        area = tf.reduce_sum(region, [1, 2, 3]) + 1
        grey = tf.reduce_sum(tf.abs(painted - window) * region, [1, 2, 3]) / (3 * area)
        maps = tf.add_n(
            [
                tf.reduce_mean(tf.abs(mine - theirs), [1, 2, 3]) / tf.reduce_mean(tf.abs(theirs))
                for mine, theirs in zip(
                    folded.first_maps(self._start, painted),
                    folded.first_maps(self._start, window),
                    strict=True,
                )
            ]
        )
        # A mouth is a small part of its maps; by the root, for its edges weigh more.
        maps /= tf.sqrt(area / SIDE**2)
        return PIXELS * grey + MAPS * maps, tf.cast(grey < RIGHT, tf.float32)

    def window(self, rng: Generator) -> tuple[Canvas, Pixels]:
        """Draw a window about a region of a face: what is shown of it, and the window."""
        while True:
            drawn_one = self._try(rng)
            if drawn_one is not None:
                return drawn_one

    def _try(self, rng: Generator) -> tuple[Canvas, Pixels] | None:
        sample = self._samples[int(rng.integers(len(self._samples)))]
        widest = max(FACE[0], 1.1 * sample.box.longer_side)
        width = min(float(np.exp(rng.uniform(*np.log(FACE)))), widest)
        face = placed(sample, width, max(1.5, 1.1 * SIDE / width), degrees=float(rng.normal(0, 6)))
        region = list(REGIONS)[int(rng.choice(len(REGIONS), p=list(REGIONS.values())))]
        mask = region_mask(face.points, region, face.pixels.shape, face.width, rng)
        if mask.max() < LEAST:
            return None  # shrunk away
        side = face.pixels.shape[0]
        rows, columns = np.nonzero(mask > mask.max() / 2)
        middle = np.array([rows.mean(), columns.mean()]) + rng.normal(0, 0.08 * SIDE, 2)
        top, left = np.clip(middle - SIDE / 2, 0, side - SIDE).astype(int)
        mirror = -1 if rng.random() < 0.5 else 1

        def cut(whole: Any) -> Any:
            square = whole[top : top + SIDE, left : left + SIDE]
            return np.ascontiguousarray(square[:, ::mirror])

        window, part, drawing = cut(face.pixels), cut(mask), cut(drawn(face.points, side))
        if region in HIDES and rng.random() < HIDDEN:
            picture, where = hidden(window, part)
        else:
            picture, where = coarse(window, window, part, width, rng)
        return Canvas(picture, where, drawing), window
