"""Forgeries: pseudo-fakes of our own, made from pictures that may be used.

Three kinds, as in the wild: a face blended into itself (the seam alone gives it away),
another person's face on this head, and the same face re-rendered with another expression.
A forgery changes its real only where `mask` is above zero, so that nothing else can tell the
label. For that reason the real of a self-blend is the outside frame, also when that was the
altered side.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from fimq_training.manipulations.alterations import (
    alter,
    clipped,
    colour,
    coordinates,
    down_up,
    unsharp,
)
from fimq_training.manipulations.landmarks import (
    EXPRESSION_OF_MOUTH,
    FIT,
    SHAPE,
    Pixels,
    Points,
    carry,
    similarity,
)
from fimq_training.manipulations.masks import Mask, pick_region, region_mask

KINDS = ("self", "swap", "reenact")


@dataclass(frozen=True, slots=True)
class Face:
    """A picture that is about a face: its pixels, landmarks and face width."""

    pixels: Pixels
    points: Points
    width: float  #: of the face, in pixels


@dataclass(frozen=True, slots=True)
class Forgery:
    """A forged picture beside the real one that differs from it in nothing but the forgery."""

    real: Pixels
    fake: Pixels
    mask: Mask  #: the share of the forgery in each pixel
    name: str  #: kind and region, as in `swap_inner`

    @property
    def change(self) -> float:
        """Mean change in grey levels where the forgery is; 0 where it is next to nothing."""
        inside = self.mask > 0.1
        if int(inside.sum()) < 40:
            return 0.0
        return float(np.abs(self.fake[inside].astype(np.int16) - self.real[inside]).mean())


def self_blend(face: Face, rng: Generator) -> Forgery:
    """Blend an altered copy of the face into itself, or the face into its altered copy."""
    region = pick_region(rng)
    altered = alter(face.pixels, face.width, rng)
    mask = region_mask(face.points, region, face.pixels.shape, face.width, rng)
    inside, frame = (altered, face.pixels) if rng.random() < 0.5 else (face.pixels, altered)
    fake, mask = blended(frame, inside, mask, rng)
    return Forgery(frame, fake, mask, f"self_{region}")


def swap(face: Face, other: Face, rng: Generator) -> Forgery:
    """Put another person's face on this head, often as coarse as a generator's output."""
    region = pick_region(rng, ("face", "inner", "oval"))
    source, laid_points = laid_over(other, face)
    if rng.random() < 0.5:  # follow the shape of this head, as three-dimensional swaps do
        at = laid_points[list(SHAPE)]
        by = (face.points[list(SHAPE)] - at) * rng.uniform(0.6, 1)
        source = _displaced(source, at, by, face.width, 0.10)
    if rng.random() < 0.5:
        source = down_up(source, min(0.9, rng.uniform(50, 110) / face.width), rng)
    mask = region_mask(face.points, region, face.pixels.shape, face.width, rng)
    if rng.random() < 0.9:
        source = matched(source, face.pixels, mask, rng.uniform(0.7, 1))
    if rng.random() < 0.3:
        source = alter(source, face.width, rng, least=1, moving=False)
    fake, mask = blended(face.pixels, source, mask, rng)
    return Forgery(face.pixels, fake, mask, f"swap_{region}")


def reenact(face: Face, expression: Points, rng: Generator) -> Forgery:
    """Re-render the face with another expression, a little smoother than a camera would."""
    is_mouth = rng.random() < 0.55
    source, _ = moved(face, expression, EXPRESSION_OF_MOUTH if is_mouth else SHAPE, rng)
    source = _rendered(source, face.width, rng)
    if is_mouth:
        region = "mouth" if rng.random() < 0.5 else "lower"
    else:
        region = pick_region(rng, ("face", "inner", "oval", "eyes"))
    mask = region_mask(face.points, region, face.pixels.shape, face.width, rng)
    return Forgery(face.pixels, _mixed(face.pixels, source, mask), mask, f"reenact_{region}")


def laid_over(other: Face, face: Face) -> tuple[Pixels, Points]:
    """The other face turned, scaled and shifted onto this one, and its points."""
    laid = similarity(other.points[list(FIT)], face.points[list(FIT)])
    height, width = face.pixels.shape[:2]
    source = cv2.warpAffine(
        other.pixels,
        laid,
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return np.asarray(source, np.uint8), carry(other.points, laid)


def moved(
    face: Face, expression: Points, which: Sequence[int], rng: Generator
) -> tuple[Pixels, Points]:
    """Bring some points of the face nearer to those of an expression, and its picture along."""
    laid = similarity(expression[list(FIT)], face.points[list(FIT)])
    target = carry(expression, laid)
    moving = list(which)
    by = (target[moving] - face.points[moving]) * rng.uniform(0.35, 0.9)
    by -= by.mean(0) * rng.uniform(0.5, 1)
    length = np.linalg.norm(by, axis=1, keepdims=True)
    by = by * np.minimum(1, 0.09 * face.width / (length + 1e-6))
    reach = float(rng.uniform(0.06, 0.10))
    source = _displaced(face.pixels, face.points[moving], by, face.width, reach)
    points = face.points + _field(face.points, face.points[moving] + by, by, face.width, reach)
    return source, points.astype(np.float32)


def _rendered(picture: Pixels, width: float, rng: Generator) -> Pixels:
    """What a renderer leaves: softness, lost detail, sometimes sharpening and a tint."""
    way = rng.random()
    if way < 0.40:
        sigma = rng.uniform(0.003, 0.010) * width + 0.25
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)
    elif way < 0.75:
        picture = down_up(picture, rng.uniform(0.4, 0.8), rng)
    elif way < 0.9:
        picture = np.asarray(cv2.bilateralFilter(picture, 5, rng.uniform(12, 35), 3), np.uint8)
    if rng.random() < 0.25:
        picture = unsharp(picture, rng.uniform(0.7, 1.6), rng.uniform(0.2, 0.7))
    if rng.random() < 0.5:
        picture = colour(picture, rng, 0.4)
    return picture


def _mixed(frame: Pixels, inside: Pixels, mask: Mask) -> Pixels:
    return clipped(frame + (inside.astype(np.float32) - frame) * mask[..., None])


def blended(frame: Pixels, inside: Pixels, mask: Mask, rng: Generator) -> tuple[Pixels, Mask]:
    """Alpha blend at a drawn ratio, now and then a Poisson blend."""
    if rng.random() < 0.04:
        cloned = _cloned(frame, inside, mask)
        if cloned is not None:
            return cloned, mask
    mask = mask * np.float32(rng.choice([0.5, 0.75, 1, 1, 1]))
    return _mixed(frame, inside, mask), mask


def _cloned(frame: Pixels, inside: Pixels, mask: Mask) -> Pixels | None:
    core = (mask > 0.5).astype(np.uint8) * np.uint8(255)
    core[[0, -1]] = 0  # the solver needs a border of its own
    core[:, [0, -1]] = 0
    rows, columns = np.nonzero(core)
    if len(rows) < 200:
        return None
    centre = (int(columns.min() + columns.max()) // 2, int(rows.min() + rows.max()) // 2)
    try:
        cloned = cv2.seamlessClone(inside, frame, core, centre, cv2.NORMAL_CLONE)
    except cv2.error:
        return None
    return np.where(mask[..., None] > 0, np.asarray(cloned, np.uint8), frame)


def matched(source: Pixels, target: Pixels, mask: Mask, amount: float) -> Pixels:
    """Bring the colours of `source` inside the mask to those of `target`, in LAB."""
    inside = mask > 0.3
    if int(inside.sum()) < 30:
        return source
    mine = cv2.cvtColor(source, cv2.COLOR_RGB2LAB).astype(np.float32)
    theirs = cv2.cvtColor(target, cv2.COLOR_RGB2LAB)[inside].astype(np.float32)
    mean, spread = mine[inside].mean(0), mine[inside].std(0) + 1
    gain = np.clip((theirs.std(0) + 1) / spread, 0.6, 1.6)
    goal = (mine - mean) * gain + theirs.mean(0)
    matched = np.clip(mine + (goal - mine) * amount, 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(matched, cv2.COLOR_LAB2RGB), np.uint8)


def _displaced(
    picture: Pixels, at: NDArray[Any], by: NDArray[Any], width: float, reach: float
) -> Pixels:
    """Move the content at `at` by `by` and what is near along; `reach` in face widths.

    The field is made on a coarse grid: at full size it is most of the cost of a forgery.
    """
    height, side = picture.shape[:2]
    count = 28
    grid_y, grid_x = np.meshgrid(
        np.linspace(0, height - 1, count), np.linspace(0, side - 1, count), indexing="ij"
    )
    grid = np.stack([grid_x, grid_y], -1).reshape(-1, 2)
    coarse = _field(grid, at + by, by, width, reach)
    field = cv2.resize(
        coarse.reshape(count, count, 2).astype(np.float32),
        (side, height),
        interpolation=cv2.INTER_CUBIC,
    )
    x, y = coordinates(picture)
    way = cv2.INTER_CUBIC if width > 120 else cv2.INTER_LINEAR
    return np.asarray(
        cv2.remap(
            picture, x - field[..., 0], y - field[..., 1], way, borderMode=cv2.BORDER_REFLECT_101
        ),
        np.uint8,
    )


def _field(
    grid: NDArray[Any], at: NDArray[Any], by: NDArray[Any], width: float, reach: float
) -> NDArray[Any]:
    """How far each point of `grid` moves when what comes to lie at `at` moves by `by`."""
    distance = ((grid[:, None] - at[None]) ** 2).sum(-1)
    weight = np.exp(-distance / (2 * (reach * width) ** 2))
    field: NDArray[Any] = (weight @ by) / (weight.sum(1, keepdims=True) + 0.15)
    return field
