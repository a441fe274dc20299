"""The probe: what codec and sharpness alone tell of a label. They must tell next to nothing.

A model learns the easiest difference. If fakes were blurred, recoded or resized otherwise than
reals, it would learn that and know nothing of forgery. So a small classifier is given features
of codec and sharpness alone, of whole crops, and asked for the label of people it has not seen.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fimq_training.evaluation.metrics import roc_auc
from fimq_training.manipulations.landmarks import Pixels

FOLDS = 5
STEPS = 400  #: of the gradient descent of the logistic regression
RATE = 0.5
SHRINK = 1e-2  #: ridge


def features(crop: Pixels) -> NDArray[np.float64]:
    """Sharpness, noise, blocks and spectrum of one crop [size, size, 3]."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    chroma = cv2.cvtColor(crop, cv2.COLOR_RGB2YCrCb)[:, :, 1:].astype(np.float32)
    laplacian = cv2.Laplacian(grey, cv2.CV_32F)
    across, down = np.abs(np.diff(grey, axis=1)), np.abs(np.diff(grey, axis=0))
    residual = grey - cv2.medianBlur(grey, 3)
    side = crop.shape[0] // 8 * 8
    blocks = grey[:side, :side].reshape(side // 8, 8, side // 8, 8).swapaxes(1, 2)
    cosines = np.stack([cv2.dct(np.ascontiguousarray(b)) for b in blocks.reshape(-1, 8, 8)])
    energy = np.log1p(np.abs(cosines)).mean(0)
    order = np.add.outer(np.arange(8), np.arange(8))
    bands = [energy[order == band].mean() for band in range(1, 15)]
    zeros = [float((np.abs(cosines[:, order == band]) < 0.5).mean()) for band in (2, 6, 10)]
    # The step over a block's edge beside the steps inside: 1 where nothing was coded in blocks.
    edges = [float(steps[:, 7::8].mean() / (steps.mean() + 1e-3)) for steps in (across, down.T)]
    sharp = [laplacian.var(), across.mean(), down.mean(), residual.std()]
    colours = [cv2.Laplacian(chroma[:, :, c], cv2.CV_32F).var() for c in (0, 1)]
    return np.array([*np.log1p([*sharp, *colours]), *bands, *zeros, *edges], np.float64)


def tells(crops: Pixels, labels: NDArray[np.bool_], people: NDArray[np.str_]) -> float:
    """The AUC that the probe reaches on people it has not seen: .5 is nothing.

    Args:
        crops: uint8 [N, size, size, 3].
        labels: manipulated or not [N].
        people: whose crop it is [N]; nobody is on both sides of a fold.
    """
    rows = np.stack([features(crop) for crop in crops])
    names = sorted(set(people.tolist()))
    fold = np.array([names.index(person) % FOLDS for person in people.tolist()])
    scores = np.zeros(len(rows))
    for number in range(FOLDS):
        seen, unseen = fold != number, fold == number
        if unseen.any() and len(set(labels[seen].tolist())) == 2:
            scores[unseen] = _scored(rows[seen], labels[seen], rows[unseen])
    return roc_auc(labels, scores)


def _scored(
    rows: NDArray[np.float64], labels: NDArray[np.bool_], asked: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Logistic regression on standardised features and their squares."""
    mean, spread = rows.mean(0), rows.std(0) + 1e-6

    def design(of: NDArray[np.float64]) -> NDArray[np.float64]:
        flat = np.clip((of - mean) / spread, -4, 4)
        return np.concatenate([flat, flat**2 - 1, np.ones((len(of), 1))], 1)

    seen = design(rows)
    weights = np.zeros(seen.shape[1])
    for _ in range(STEPS):
        expected = 1 / (1 + np.exp(-seen @ weights))
        slope = seen.T @ (expected - labels) / len(rows) + SHRINK * weights
        weights -= RATE * slope
    scores: NDArray[np.float64] = 1 / (1 + np.exp(-design(asked) @ weights))
    return scores
