"""Masks: where on a face a forgery lies, as a soft map of [0, 1] along its landmarks."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from fimq_training.manipulations import landmarks
from fimq_training.manipulations.alterations import elastic
from fimq_training.manipulations.landmarks import Points

Mask = NDArray[np.float32]  #: shape (height, width), 0 outside, 1 where the forgery is whole

#: Regions and how often each is forged.
REGIONS = {
    "face": 0.26,
    "inner": 0.20,
    "mouth": 0.14,
    "oval": 0.12,
    "lower": 0.10,
    "eyes": 0.07,
    "hull": 0.07,
    "nose": 0.04,
}
_EYES = (
    (*landmarks.EYE_LEFT, *landmarks.BROW_LEFT),
    (*landmarks.EYE_RIGHT, *landmarks.BROW_RIGHT),
)
_POINTS = {
    "face": landmarks.OVAL,
    "oval": landmarks.OVAL,
    "inner": (*_EYES[0], *_EYES[1], *landmarks.NOSE, *landmarks.LIPS),
    "mouth": landmarks.LIPS,
    "lower": landmarks.LOWER,
    "nose": landmarks.NOSE,
}
_GROWTH = {"mouth": (1.1, 1.9), "eyes": (1.0, 1.4), "nose": (1.0, 1.5)}


def pick_region(rng: Generator, among: Sequence[str] = tuple(REGIONS)) -> str:
    """Draw a region, as often as it is forged."""
    odds = np.array([REGIONS[name] for name in among])
    return among[int(rng.choice(len(among), p=odds / odds.sum()))]


def region_mask(
    points: Points, region: str, shape: tuple[int, ...], width: float, rng: Generator
) -> Mask:
    """Draw the region, jittered, warped, shrunk or grown, with a Gaussian edge."""
    canvas = np.zeros(shape[:2], np.uint8)
    for outline in _outlines(points, region, rng):
        _fill(canvas, _jittered(outline, region, width, rng), is_ellipse=region == "oval")
    if rng.random() < 0.5:
        canvas = elastic(canvas, rng.uniform(0.01, 0.05) * width, rng)
    if rng.random() < 0.5:
        reach = max(1, int(rng.uniform(0.01, 0.06) * width))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        change = cv2.erode if rng.random() < 0.6 else cv2.dilate
        canvas = np.asarray(change(canvas, disc), np.uint8)
    edge = max(0.5, float(np.exp(rng.uniform(np.log(0.006), np.log(0.08)))) * width)
    mask: Mask = np.asarray(cv2.GaussianBlur(canvas, (0, 0), edge), np.float32) / np.float32(255)
    if rng.random() < 0.3:
        mask = np.clip(mask * rng.uniform(1, 1.6) - rng.uniform(0, 0.2), 0, 1).astype(np.float32)
    return mask


def _outlines(points: Points, region: str, rng: Generator) -> list[Points]:
    if region == "eyes":
        both = [_hull(points[list(eye)]) for eye in _EYES]
        return both[:1] if rng.random() < 0.3 else both
    if region == "hull":
        some = rng.choice(len(points), int(rng.integers(6, 14)), replace=False)
        return [_hull(points[some])]
    return [_hull(points[list(_POINTS[region])])]


def _hull(points: Points) -> Points:
    return np.asarray(cv2.convexHull(points.astype(np.float32))[:, 0], np.float32)


def _jittered(outline: Points, region: str, width: float, rng: Generator) -> Points:
    centre = outline.mean(0)
    growth = rng.uniform(*_GROWTH.get(region, (0.85, 1.06))) * rng.uniform(0.93, 1.07, 2)
    # How many corners a hull has changes from frame to frame; what is drawn after it must not.
    own = np.random.default_rng(int(rng.integers(1 << 30)))
    jitter = own.normal(0, 0.012 * width, outline.shape)
    moved: Points = (centre + (outline - centre) * growth + jitter).astype(np.float32)
    return moved


def _fill(canvas: NDArray[np.uint8], outline: Points, *, is_ellipse: bool) -> None:
    if is_ellipse and len(outline) >= 5:
        centre, axes, degrees = cv2.fitEllipse(outline)
        cv2.ellipse(canvas, (centre, (max(4, axes[0]), max(4, axes[1])), degrees), 255, -1)
        return
    eighths = np.round(outline * 8).astype(np.int32)
    cv2.fillPoly(canvas, [eighths], 255, lineType=cv2.LINE_AA, shift=3)
