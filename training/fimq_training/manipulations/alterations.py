"""Alterations: small changes to a picture, from which forgeries and degradations are put together.

Each takes RGB uint8 and returns a new picture of the same size. Where chance is involved it
comes from the generator that is passed in, never from a global, so that a seed says it all.
`width` is the width of the face in pixels: sizes of blurs and shifts are parts of it.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from fimq_training.manipulations.landmarks import Pixels


def clipped(values: NDArray[Any]) -> Pixels:
    """Round to uint8."""
    rounded: Pixels = np.clip(values + 0.5, 0, 255).astype(np.uint8)
    return rounded


def unsharp(picture: Pixels, sigma: float, amount: float) -> Pixels:
    """Sharpen as photo tools do, with halos."""
    soft = cv2.GaussianBlur(picture, (0, 0), sigma)
    return _pixels(cv2.addWeighted(picture, 1 + amount, soft, -amount, 0))


def jpeg(picture: Pixels, quality: int) -> Pixels:
    """Compress and decompress. The channel order is the codec's business only."""
    _, coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return _pixels(cv2.imdecode(coded, cv2.IMREAD_COLOR))


def down_up(picture: Pixels, factor: float, rng: Generator) -> Pixels:
    """Lose detail: scale down by `factor` and back."""
    height, width = picture.shape[:2]
    small = cv2.resize(
        picture,
        (max(4, int(width * factor)), max(4, int(height * factor))),
        interpolation=cv2.INTER_AREA if rng.random() < 0.6 else cv2.INTER_LINEAR,
    )
    way = cv2.INTER_LINEAR if rng.random() < 0.5 else cv2.INTER_CUBIC
    return _pixels(cv2.resize(small, (width, height), interpolation=way))


def colour(picture: Pixels, rng: Generator, strength: float = 1.0) -> Pixels:
    """Shift hue, saturation and value, or gain and offset of channels; then contrast and light."""
    if rng.random() < 0.5:
        hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV).astype(np.float32)
        hsv[..., 0] = (hsv[..., 0] + rng.uniform(-6, 6) * strength) % 180
        hsv[..., 1] = np.clip(hsv[..., 1] * (1 + rng.uniform(-0.3, 0.3) * strength), 0, 255)
        hsv[..., 2] = np.clip(hsv[..., 2] * (1 + rng.uniform(-0.15, 0.15) * strength), 0, 255)
        changed = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB).astype(np.float32)
    else:
        gain = (1 + rng.uniform(-0.08, 0.08, 3) * strength).astype(np.float32)
        offset = (rng.uniform(-12, 12, 3) * strength).astype(np.float32)
        changed = picture * gain + offset
    contrast = np.float32(1 + rng.uniform(-0.15, 0.15) * strength)
    brightness = np.float32(rng.uniform(-12, 12) * strength)
    return clipped((changed - 127) * contrast + 127 + brightness)


def noise(picture: Pixels, sigma: float, rng: Generator) -> Pixels:
    """Add Gaussian noise. OpenCV's generator is three times as fast as NumPy's."""
    grain = np.zeros(picture.shape, np.int16)
    cv2.setRNGSeed(int(rng.integers(1 << 30)))
    cv2.randn(grain, np.zeros(3), np.full(3, sigma))
    return _pixels(cv2.add(picture, grain, dtype=cv2.CV_8U))


def gamma(picture: Pixels, exponent: float) -> Pixels:
    """Bend the tone curve."""
    return _pixels(cv2.LUT(picture, clipped(np.linspace(0, 1, 256) ** exponent * 255)))


def motion_blur(picture: Pixels, length: int, degrees: float) -> Pixels:
    """Blur along a line."""
    line = np.zeros((length, length), np.float32)
    line[length // 2] = 1
    middle = ((length - 1) / 2, (length - 1) / 2)
    line = np.asarray(
        cv2.warpAffine(line, cv2.getRotationMatrix2D(middle, degrees, 1), (length, length))
    )
    return _pixels(cv2.filter2D(picture, -1, line / max(float(line.sum()), 1e-6)))


def elastic(picture: Pixels, reach: float, rng: Generator) -> Pixels:
    """Warp smoothly and at random, by up to `reach` pixels."""
    height, width = picture.shape[:2]
    grid = int(rng.integers(3, 7))
    coarse = rng.uniform(-reach, reach, (grid, grid, 2)).astype(np.float32)
    field = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    x, y = coordinates(picture)
    return _pixels(
        cv2.remap(
            picture,
            x + field[..., 0],
            y + field[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )
    )


def coordinates(picture: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The x and the y of every pixel."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return x, y


def _shift(picture: Pixels, width: float, rng: Generator) -> Pixels:
    height, side = picture.shape[:2]
    turn = cv2.getRotationMatrix2D(
        (side / 2, height / 2), rng.uniform(-3, 3), rng.uniform(0.95, 1.05)
    )
    turn[:, 2] = turn[:, 2] + rng.uniform(-0.03, 0.03, 2) * width
    return _pixels(
        cv2.warpAffine(
            picture,
            turn,
            (side, height),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )
    )


def _sharpness(picture: Pixels, width: float, rng: Generator) -> Pixels:
    if rng.random() < 0.6:
        sigma = rng.uniform(0.004, 0.016) * width + 0.2
        return _pixels(cv2.GaussianBlur(picture, (0, 0), sigma))
    return unsharp(picture, rng.uniform(0.6, 2), rng.uniform(0.3, 1.2))


Alteration = Callable[[Pixels, float, Generator], Pixels]
#: What may set a source apart from its base, with how often it is drawn.
ALTERATIONS: tuple[tuple[float, Alteration], ...] = (
    (0.26, lambda picture, _, rng: colour(picture, rng)),
    (0.22, _sharpness),
    (0.16, lambda picture, _, rng: down_up(picture, rng.uniform(0.3, 0.85), rng)),
    (0.12, lambda picture, width, rng: elastic(picture, rng.uniform(0.01, 0.04) * width, rng)),
    (0.06, lambda picture, _, rng: jpeg(picture, int(rng.integers(30, 90)))),
    (0.06, lambda picture, _, rng: noise(picture, rng.uniform(2, 8), rng)),
    (0.12, _shift),
)


def alter(
    picture: Pixels, width: float, rng: Generator, *, least: int = 2, moving: bool = True
) -> Pixels:
    """Apply `least` to four different alterations; without the shift unless `moving`."""
    choice = ALTERATIONS if moving else ALTERATIONS[:-1]
    odds = np.array([share for share, _ in choice])
    count = int(rng.integers(least, 5))
    for index in rng.choice(len(choice), count, replace=False, p=odds / odds.sum()):
        picture = choice[int(index)][1](picture, width, rng)
    return picture


def _pixels(array: Any) -> Pixels:
    return np.asarray(array, np.uint8)
