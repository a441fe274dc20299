"""Painting: a region of a face made up by a network of our own, from a drawing of its features.

A painter is shown a square about a face in which one region is hidden, or left at a handful of
pixels, and a drawing of the features that it is to have there. It is fitted on the pictures that
pairs are made of (`fitting/painter_task`): no fake and no generator of anybody else is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from fimq_training.manipulations.alterations import colour, down_up
from fimq_training.manipulations.landmarks import (
    BROW_LEFT,
    BROW_RIGHT,
    EYE_LEFT,
    EYE_RIGHT,
    LIPS,
    OPENING,
    OVAL,
    Pixels,
    Points,
)
from fimq_training.manipulations.masks import Mask

STEP = 16  #: sides that a painter takes are multiples of it
HIDDEN = 0.02  #: share of a forgery from which on a pixel is painted
ROUGH = (16, 72)  #: pixels that a face is wide where it is coarse
OFF = 0.3  #: share of coarse sources whose colours are off

Region = NDArray[np.uint8]  #: 255 where it is to be painted, shape (side, side)


@dataclass(frozen=True, slots=True)
class Canvas:
    """What a painter is shown."""

    picture: Pixels  #: the region hidden or coarse
    region: Region
    drawing: NDArray[np.uint8]  #: of the features that it is to paint, shape (side, side)

    def channels(self) -> NDArray[np.uint8]:
        """All of it, [side, side, 5]."""
        return np.dstack([self.picture, self.region, self.drawing])


def drawn(points: Points, side: int) -> NDArray[np.uint8]:
    """Draw the features of a face: its outline and brows, and filled its eyes, lips and mouth."""
    drawing = np.zeros((side, side), np.uint8)
    eighths = np.round(points * 8).astype(np.int32)
    for line, closed in ((OVAL, True), (BROW_LEFT[:5], False), (BROW_RIGHT[:5], False)):
        cv2.polylines(drawing, [eighths[list(line)]], closed, 60, 1, cv2.LINE_AA, 3)
    for area, grey in ((EYE_LEFT, 120), (EYE_RIGHT, 120), (LIPS, 160), (OPENING, 255)):
        cv2.fillPoly(drawing, [eighths[list(area)]], grey, cv2.LINE_AA, 3)
    return drawing


def hidden(picture: Pixels, mask: Mask) -> tuple[Pixels, Region]:
    """Take out everything that the mask touches; grey is left."""
    region = _region(mask)
    return np.where(region[..., None] > 0, np.uint8(128), picture), region


def coarse(
    picture: Pixels, source: Pixels, mask: Mask, width: float, rng: Generator
) -> tuple[Pixels, Region]:
    """Put a coarse `source` where the mask is, its colours now and then off.

    `width` is that of the face, in pixels.
    """
    region = _region(mask)
    pixels = float(np.exp(rng.uniform(*np.log(ROUGH))))
    rough = down_up(source, min(0.9, pixels / width), rng)
    if rng.random() < OFF:
        rough = colour(rough, rng, 0.5)
    return np.where(region[..., None] > 0, rough, picture), region


class Painter:
    """A fitted painter, on one thread and in f32."""

    def __init__(self, file: Path) -> None:
        import openvino  # noqa: PLC0415 - half a second that only who paints needs

        core = openvino.Core()
        core.set_property("CPU", {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"})
        self._network: Any = core.compile_model(core.read_model(str(file)), "CPU")

    def paint(self, canvas: Canvas) -> Pixels:
        """The picture with its region painted; its side is a multiple of STEP."""
        painted = self._network(canvas.channels()[None])[0]
        return np.array(painted[0], np.uint8)


def _region(mask: Mask) -> Region:
    return np.where(mask > HIDDEN, np.uint8(255), np.uint8(0))
