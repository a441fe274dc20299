"""Crops: the square picture of one face that the classifier sees.

Serving and training both come here, so that a model always meets the crops it was
trained on. A crop is cut in displayed coordinates, with the box widened by `scale`,
mirrored where it leaves the picture, and resampled by area (linearly where it grows).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fimq_worker.vision.box import Box
from fimq_worker.vision.picture import Picture


class EmptyBox(ValueError):
    """The box has no area inside the picture."""


@dataclass(frozen=True, slots=True)
class CropRule:
    """How wide round the box, and how large in the end. Part of a model's manifest."""

    scale: float = 1.3  #: side of the crop over the longer side of the box
    size: int = 128  #: side of the result in pixels

    def square(self, box: Box) -> Box:
        """The whole pixels that a crop of `box` shows: a square about its centre."""
        side = max(1, math.floor(box.longer_side * self.scale + 0.5))
        centre_x, centre_y = box.centre
        left, top = math.floor(centre_x - side / 2 + 0.5), math.floor(centre_y - side / 2 + 0.5)
        return Box(left, top, side, side)


def crop_face(picture: Picture, box: Box, rule: CropRule) -> NDArray[np.uint8]:
    """Return the face as RGB, shape (size, size, 3).

    Raises:
        EmptyBox: the box has no area inside the picture.
    """
    numbers = (box.x, box.y, box.width, box.height)
    inside = Box(0, 0, picture.width, picture.height)
    if not all(map(math.isfinite, numbers)) or box.overlap(inside) <= 0:
        raise EmptyBox(f"{box} in a picture of {picture.width}x{picture.height}")
    return picture.rgb(rule.square(box), rule.size, rule.size)


def crop_is_padded(picture: Picture, box: Box, rule: CropRule) -> bool:
    """True when the crop shows mirrored pixels, because it reaches over the picture's edge."""
    square = rule.square(box)
    right, bottom = square.x + square.width, square.y + square.height
    return square.x < 0 or square.y < 0 or right > picture.width or bottom > picture.height
