"""Thresholds: calibration and operating points from video of held-out people.

The zero point of a clip is the error to beat: an ordinary clip of an unseen person may score
as high as a forgery, so .5 means nothing and thresholds come from real video alone. They are
set on the pooled score of a track, which is what a policy compares with them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fimq.policy.pooling import logit
from fimq_training.calibration import temperature
from fimq_training.calibration.temperature import Calibration
from fimq_training.evaluation.figures import Scored, even_weights

FALSE_ALARMS = 0.05  #: share of real clips, degraded ones included, that may be called
MISSED = 0.10  #: share of forged clips allowed below the high-recall threshold


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Operating points on the pooled, calibrated score."""

    high_precision: float
    high_recall: float


def calibrate(reals: Sequence[Scored], fakes: Sequence[Scored]) -> Calibration:
    """Fit temperature and bias on the faces of as many real as forged clips, by likelihood.

    Every person weighs the same.
    """
    clips = (*reals, *fakes)
    labels = np.concatenate([np.full(len(c.faces), i >= len(reals)) for i, c in enumerate(clips)])
    weights = np.concatenate(
        [
            np.full(len(clip.faces), weight / len(clip.faces))
            for some in (reals, fakes)
            for clip, weight in zip(some, even_weights(some), strict=True)
        ]
    )
    return temperature.fit(np.concatenate([_logits(clip) for clip in clips]), labels, weights)


def choose(
    reals: Sequence[Scored], degraded: Sequence[Scored], fakes: Sequence[Scored]
) -> Thresholds:
    """Choose both points; `reals` are clips as they are, `degraded` their degraded doubles.

    High precision: FALSE_ALARMS of both together are at or above it. High recall: nine of ten
    forged clips are above it.
    """
    precision = _quantile([*reals, *degraded], 1 - FALSE_ALARMS)
    return Thresholds(
        high_precision=precision, high_recall=min(_quantile(fakes, MISSED), precision)
    )


@dataclass(frozen=True, slots=True)
class Unseen:
    """Real clips that were called at a threshold chosen without the person whom they show."""

    clips: int
    called: int
    people: int  #: with one of these clips
    accused: int  #: with one that was called


def of_the_unseen(
    reals: Sequence[Scored], degraded: Sequence[Scored], counted: Sequence[Scored]
) -> Unseen:
    """Leave everyone out once: what the choice can be expected to do to the next person.

    Args:
        reals: clips as they are.
        degraded: their degraded doubles.
        counted: the clips to count, of the same people.
    """
    called: list[str] = []
    for person in {clip.person for clip in counted}:
        others, others_degraded = (
            [clip for clip in clips if clip.person != person] for clips in (reals, degraded)
        )
        threshold = choose(others, others_degraded, others_degraded).high_precision
        called += [c.person for c in counted if c.person == person and c.score >= threshold]
    people = len({clip.person for clip in counted})
    return Unseen(len(counted), len(called), people, len(set(called)))


def upper_bound(people: int) -> float:
    """The share of people that may raise a false alarm when none of so many did, at 95 %."""
    return float(1 - 0.05 ** (1 / people))


def _logits(clip: Scored) -> NDArray[np.float64]:
    return np.array([logit(float(score)) for score in clip.faces])


def _quantile(clips: Sequence[Scored], share: float) -> float:
    """The score that this share of the clips lies below, every person weighing the same."""
    scores = np.array([clip.score for clip in clips])
    by_score = np.argsort(scores)
    below = np.cumsum(even_weights(clips)[by_score])
    at = min(int(np.searchsorted(below, share)), len(scores) - 1)
    return float(scores[by_score[at]])
