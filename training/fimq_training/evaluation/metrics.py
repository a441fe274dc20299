"""Metrics: pure functions of labels and scores, equal to scikit-learn's where it has them.

`labels` are True for manipulated, `scores` in [0, 1] say how likely that is; both of shape [N].
A metric that needs both classes is NaN where one is missing. Curves are over the distinct
scores, from the highest down: a threshold calls manipulated what is at or above it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.bool_]
Scores = NDArray[np.float64]
_EDGE = 1e-15  #: scores are kept this far from 0 and 1 where a logarithm is taken


@dataclass(frozen=True, slots=True)
class Roc:
    """The receiver operating characteristic, from (0, 0) to (1, 1)."""

    false_positives: Scores  #: rate at each threshold
    true_positives: Scores
    thresholds: Scores  #: the first is infinite: nothing is called

    @property
    def auc(self) -> float:
        """Area under the curve: the chance that a fake scores above a real one, ties half."""
        return float(np.trapezoid(self.true_positives, self.false_positives))

    @property
    def equal_error(self) -> float:
        """Where false positives are as frequent as misses, between two points by a line."""
        misses = 1 - self.true_positives
        gap = self.false_positives - misses
        after = int(np.argmax(gap >= 0))
        if gap[after] == 0 or after == 0:
            return float(self.false_positives[after])
        share = -gap[after - 1] / (gap[after] - gap[after - 1])
        low, high = self.false_positives[after - 1], self.false_positives[after]
        return float(low + share * (high - low))


def roc(labels: Labels, scores: Scores) -> Roc:
    """The curve of a classifier; every rate is NaN where a class is missing."""
    order = np.argsort(-scores, kind="stable")
    ranked, right = scores[order], labels[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    hits, alarms = np.cumsum(right)[last], np.cumsum(~right)[last]
    with np.errstate(invalid="ignore", divide="ignore"):
        true = np.append(0.0, hits) / labels.sum()
        false = np.append(0.0, alarms) / (~labels).sum()
    return Roc(false, true, np.append(np.inf, ranked[last]))


def roc_auc(labels: Labels, scores: Scores) -> float:
    """Area under the ROC curve."""
    return roc(labels, scores).auc


def average_precision(labels: Labels, scores: Scores) -> float:
    """Precision at each rise of recall, weighted by the rise; no line is drawn between points."""
    if not labels.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    ranked, right = scores[order], labels[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    hits = np.cumsum(right)[last]
    precision = hits / (last + 1)
    recall = np.append(0, hits / labels.sum())
    return float(np.diff(recall) @ precision)


def log_loss(labels: Labels, scores: Scores) -> float:
    """Mean negative log likelihood, in nats."""
    kept = np.clip(scores, _EDGE, 1 - _EDGE)
    return float(-np.mean(np.where(labels, np.log(kept), np.log1p(-kept))))


def brier(labels: Labels, scores: Scores) -> float:
    """Mean squared distance of score and label."""
    return float(np.mean((scores - labels) ** 2))


@dataclass(frozen=True, slots=True)
class Reliability:
    """Bins of scores: what they say, and what came true."""

    score: Scores  #: mean score in each bin that has any
    share: Scores  #: of manipulated ones in it
    count: NDArray[np.int64]

    @property
    def error(self) -> float:
        """Expected calibration error: |share - score|, weighted by count (Naeini et al., 2015)."""
        return float(np.abs(self.share - self.score) @ self.count / self.count.sum())


def reliability(labels: Labels, scores: Scores, bins: int = 15) -> Reliability:
    """Scores in bins of equal width."""
    index = np.minimum((scores * bins).astype(int), bins - 1)
    count = np.bincount(index, minlength=bins)
    used = count > 0
    sums = (np.bincount(index, values, minlength=bins)[used] for values in (scores, labels))
    score, share = (total / count[used] for total in sums)
    return Reliability(score, share, count[used])


def threshold_at(reals: Scores, false_positives: float) -> float:
    """The lowest threshold that calls at most this share of real ones manipulated.

    Chosen on validation and carried over: chosen on what it is measured on, it flatters.
    """
    allowed = int(np.floor(false_positives * len(reals) + 1e-9))
    ranked = np.sort(reals)[::-1]
    if allowed >= len(ranked):
        return 0.0
    # Just above the first real one that may not be called.
    return float(np.nextafter(ranked[allowed], np.inf))


def rate_at(scores: Scores, threshold: float) -> float:
    """The share of scores at or above a threshold."""
    return float(np.mean(scores >= threshold)) if len(scores) else float("nan")


def precision_expected(hits: float, alarms: float, prevalence: float) -> float:
    """The share of right calls where this share of videos is manipulated (Bayes's rule).

    Args:
        hits: rate at which manipulated ones are called.
        alarms: rate at which real ones are called.
        prevalence: share of manipulated videos, in [0, 1].
    """
    right, wrong = hits * prevalence, alarms * (1 - prevalence)
    return right / (right + wrong) if right + wrong else float("nan")


def confusion(
    actual: NDArray[np.int64], said: NDArray[np.int64], classes: int
) -> NDArray[np.int64]:
    """How often each actual class (row) was said to be each class (column)."""
    return np.bincount(actual * classes + said, minlength=classes**2).reshape(classes, classes)
