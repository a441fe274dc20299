"""The robustness sweep: the same crops, recoded, shrunk, blurred, noisy.

On crops, not on videos: quick, and comparable from model to model. What a codec does to a
video is measured by `fimq evaluate` on recoded files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from fimq_training.crops.table import CropTable
from fimq_training.evaluation.judged import Judged
from fimq_training.evaluation.metrics import roc_auc
from fimq_training.evaluation.predictions import Model, Predictions

Pixels = NDArray[np.uint8]


def recoded(quality: float, picture: Pixels) -> Pixels:
    """Through JPEG."""
    _, code = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)


def shrunk(share: float, picture: Pixels) -> Pixels:
    """Made smaller, and back to its size."""
    side = max(2, round(picture.shape[0] * share))
    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    back = cv2.resize(small, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(back, np.uint8)


def blurred(sigma: float, picture: Pixels) -> Pixels:
    """By a Gaussian of so many pixels."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)


def noisy(sigma: float, picture: Pixels) -> Pixels:
    """With normal noise of so many grey levels, the same for every picture."""
    drawn = np.random.default_rng(0).normal(0, sigma, picture.shape)
    return np.clip(picture + drawn, 0, 255).astype(np.uint8)


SWEEP: tuple[tuple[str, Callable[[float, Pixels], Pixels], tuple[float, ...]], ...] = (
    ("JPEG quality", recoded, (80, 50, 25)),
    ("shrunk to", shrunk, (0.75, 0.5, 0.25)),
    ("blur sigma, pixels", blurred, (1, 2, 3)),
    ("noise sigma, grey levels", noisy, (4, 8, 16)),
)


def middle() -> Iterator[tuple[str, float, Callable[[Pixels], Pixels]]]:
    """Every alteration of the sweep at its middle strength."""
    for what, alter, strengths in SWEEP:
        strength = strengths[len(strengths) // 2]
        yield what, strength, partial(alter, strength)


@dataclass(frozen=True, slots=True)
class Setback:
    """A model's figures on crops that something was done to."""

    what: str
    strength: float
    crops_auc: float
    videos_auc: float
    mean_change: float  #: mean absolute change of a crop's score


def sweep(table: CropTable, model: Model, plain: Predictions) -> Iterator[Setback]:
    """Measure the model on every alteration of the sweep.

    Args:
        table: the crops.
        model: what scores them.
        plain: its predictions on them as they are.
    """
    for what, alter, strengths in SWEEP:
        for strength in strengths:
            altered = Predictions.make(table, model, partial(alter, strength))
            crops, videos = Judged.crops(altered), Judged.videos(altered)
            change = np.abs(altered.manipulated_scores - plain.manipulated_scores)
            yield Setback(
                what,
                strength,
                roc_auc(crops.labels, crops.scores),
                roc_auc(videos.labels, videos.scores),
                float(change.mean()),
            )
