"""Rendering: forgeries whose pixels a network made up, as lip edits, reenactments and swaps are."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.random import Generator

from fimq_training.manipulations.forgeries import Face, Forgery, blended, laid_over, matched, moved
from fimq_training.manipulations.landmarks import EXPRESSION_OF_MOUTH, SHAPE, Pixels, Points
from fimq_training.manipulations.masks import Mask, pick_region, region_mask
from fimq_training.manipulations.painting import STEP, Canvas, Painter, coarse, drawn, hidden

RENDER = "render"  #: the kind, beside `forgeries.KINDS`
WAYS = {"lips": 0.45, "own": 0.30, "other": 0.25}  #: and how often each is drawn
WINDOW = 1.3  #: side of what a painter is shown over the width of the face
FACE = (72, 176)  #: width of a face that is painted, in pixels


def render(face: Face, other: Face, painter: Painter, rng: Generator) -> Forgery:
    """Paint a region of the face anew.

    The mouth hidden and painted with an expression of `other`; the face's own coarse pixels with
    that expression; or coarse pixels of `other`.
    """
    way = list(WAYS)[int(rng.choice(len(WAYS), p=list(WAYS.values())))]
    if way == "lips":
        region = "mouth" if rng.random() < 0.5 else "lower"
        source, points = moved(face, other.points, EXPRESSION_OF_MOUTH, rng)
    elif way == "own":
        region = pick_region(rng, ("face", "inner", "oval", "eyes"))
        source, points = moved(face, other.points, SHAPE, rng)
    else:
        region = pick_region(rng, ("face", "inner", "oval"))
        source, points = laid_over(other, face)
    mask = region_mask(face.points, region, face.pixels.shape, face.width, rng)
    if way == "other":
        source = matched(source, face.pixels, mask, rng.uniform(0.7, 1))
    painted = _painted(face, None if way == "lips" else source, points, mask, rng, painter=painter)
    if rng.random() < 0.3:
        painted = matched(painted, face.pixels, mask, rng.uniform(0.3, 1))
    fake, mask = blended(face.pixels, painted, mask, rng)
    return Forgery(face.pixels, fake, mask, f"{RENDER}_{region}")


def _painted(
    face: Face,
    source: Pixels | None,
    points: Points,
    mask: Mask,
    rng: Generator,
    *,
    painter: Painter,
) -> Pixels:
    """The picture with its middle painted at a resolution of its own; hidden without a source."""
    whole = face.pixels.shape[0]
    square = min(whole, round(WINDOW * face.width)) // 2 * 2
    first = (whole - square) // 2
    width = min(float(np.exp(rng.uniform(*np.log(FACE)))), 1.1 * face.width)
    side = max(4, round(square / face.width * width / STEP)) * STEP
    scale = side / square

    def shown(array: Any) -> Any:
        middle = np.ascontiguousarray(array[first : first + square, first : first + square])
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        return cv2.resize(middle, (side, side), interpolation=way)

    picture, region = (
        hidden(shown(face.pixels), shown(mask))
        if source is None
        else coarse(shown(face.pixels), shown(source), shown(mask), width, rng)
    )
    drawing = drawn((points - np.float32(first)) * np.float32(scale), side)
    painted = painter.paint(Canvas(picture, region, drawing))
    result = face.pixels.copy()
    result[first : first + square, first : first + square] = cv2.resize(
        painted, (square, square), interpolation=cv2.INTER_CUBIC
    )
    return result
