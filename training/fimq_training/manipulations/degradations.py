"""Degradations: what cameras, platforms and codecs do to a picture, real or forged.

One plan is drawn and then applied to the real and to the fake of a pair, noise included, so
that nothing but the forgery tells them apart. A `camera` plan is mild and comes before the
forgery; a `platform` plan comes after it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator

from fimq_training.manipulations.alterations import (
    colour,
    down_up,
    gamma,
    jpeg,
    motion_blur,
    noise,
    unsharp,
)
from fimq_training.manipulations.landmarks import Pixels
from fimq_training.manipulations.shortclip import ShortClip


@dataclass(frozen=True, slots=True)
class Degradation:
    """A plan, drawn once. What is None does not happen; the order is that of the fields."""

    seed: int  #: of the colours and the noise, which are the same for every picture
    blur: float | None = None  #: sigma in pixels
    motion: tuple[int, float] | None = None  #: length in pixels, degrees
    sharpen: tuple[float, float] | None = None  #: sigma, amount
    smooth: float | None = None  #: sigma in grey levels of a bilateral filter
    down_up: float | None = None  #: factor
    colour: float | None = None  #: strength
    gamma: float | None = None  #: exponent
    noise: float | None = None  #: sigma in grey levels
    video: ShortClip | None = None
    jpeg: int | None = None  #: quality

    def apply(self, picture: Pixels) -> Pixels:
        """Return the degraded picture, of the same size. The same picture gives the same."""
        rng = np.random.default_rng(self.seed)
        for step, value in self._steps():
            if value is not None:
                picture = np.asarray(step(picture, value, rng), np.uint8)
        return picture

    def _steps(self) -> tuple[tuple[Callable[..., Any], Any], ...]:
        return (
            (lambda p, v, _: cv2.GaussianBlur(p, (0, 0), v), self.blur),
            (lambda p, v, _: motion_blur(p, *v), self.motion),
            (lambda p, v, _: unsharp(p, *v), self.sharpen),
            (lambda p, v, _: cv2.bilateralFilter(p, 5, v, 2), self.smooth),
            (down_up, self.down_up),
            (lambda p, v, rng: colour(p, rng, v), self.colour),
            (lambda p, v, _: gamma(p, v), self.gamma),
            (noise, self.noise),
            (lambda p, v, _: v.last_frame_of(p), self.video),
            (lambda p, v, _: jpeg(p, v), self.jpeg),
        )


def camera(width: float, rng: Generator) -> Degradation:
    """Draw what a camera did before anyone forged the picture; `width` is the face's."""
    coded = rng.random()
    return Degradation(
        seed=int(rng.integers(1 << 30)),
        blur=_maybe(rng, 0.3, 0.3, 0.3 + 0.006 * width),
        smooth=_maybe(rng, 0.15, 10, 50),
        down_up=_maybe(rng, 0.4, 0.45, 0.95),
        gamma=_exponent(rng, 0.3, 0.5),
        noise=_maybe(rng, 0.4, 1, 6),
        sharpen=_sharpening(rng, 0.3),
        video=ShortClip.draw(width, rng, crf=(18, 36), frames=3) if coded < 0.5 else None,
        jpeg=int(rng.integers(40, 95)) if 0.5 <= coded < 0.75 else None,
    )


def platform(width: float, rng: Generator) -> Degradation:
    """Draw what happened on the way from the forger to us; `width` is the face's."""
    coded = rng.random()
    return Degradation(
        seed=int(rng.integers(1 << 30)),
        blur=_maybe(rng, 0.35, 0.3, 0.3 + 0.010 * width),
        motion=(int(rng.integers(2, max(3, int(0.05 * width)))), float(rng.uniform(0, 180)))
        if rng.random() < 0.12
        else None,
        sharpen=_sharpening(rng, 0.15),
        smooth=_maybe(rng, 0.12, 10, 40),
        down_up=_maybe(rng, 0.30, 0.45, 0.9),
        colour=1.2 if rng.random() < 0.5 else None,
        gamma=_exponent(rng, 0.3, 0.35),
        noise=_maybe(rng, 0.25, 1, 7),
        video=ShortClip.draw(width, rng, crf=(18, 42), frames=4) if coded < 0.62 else None,
        jpeg=int(rng.integers(30, 100)) if 0.62 <= coded < 0.85 else None,
    )


def _maybe(rng: Generator, share: float, low: float, high: float) -> float | None:
    return float(rng.uniform(low, high)) if rng.random() < share else None


def _exponent(rng: Generator, share: float, reach: float) -> float | None:
    drawn = _maybe(rng, share, -reach, reach)
    return None if drawn is None else float(np.exp(drawn))


def _sharpening(rng: Generator, share: float) -> tuple[float, float] | None:
    if rng.random() >= share:
        return None
    return float(rng.uniform(0.6, 1.7)), float(rng.uniform(0.2, 1.0))
