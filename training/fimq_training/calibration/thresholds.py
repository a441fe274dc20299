"""Thresholds: calibration and operating points from video of held-out people.

The zero point of a clip is the error to beat: an ordinary clip of an unseen person may score
as high as a forgery, so .5 means nothing and thresholds come from real video alone. They are
set on the pooled score of a track, which is what a policy compares with them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fimq.policy.pooling import expit, logit
from fimq_training.calibration import temperature
from fimq_training.calibration.temperature import Calibration
from fimq_training.evaluation.figures import Scored, even_weights

FALSE_ALARMS = 0.01  #: share of degraded real clips allowed above the high-precision threshold
#: Logits above the highest real clip as it is. Other samples of one clip move its pooled score
#: by some tenths: at a margin of 0.1 one real clip of 39 was accused when it was served.
MARGIN = 0.5
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

    High precision: above every real clip as it is by a margin, and above all but 1 % of the
    degraded ones. High recall: nine of ten forged clips are above it.
    """
    highest = expit(max(logit(clip.score) for clip in reals) + MARGIN)
    rare = _quantile(degraded, 1 - FALSE_ALARMS)
    return Thresholds(
        high_precision=max(highest, rare), high_recall=min(_quantile(fakes, MISSED), highest)
    )


def false_alarms_of_the_unseen(reals: Sequence[Scored], degraded: Sequence[Scored]) -> float:
    """The share of people with a real clip above a threshold chosen without them.

    This is what the choice can be expected to do to the next person.
    """
    people = sorted({clip.person for clip in reals})
    alarms = 0
    for person in people:
        others = [clip for clip in reals if clip.person != person]
        others_degraded = [clip for clip in degraded if clip.person != person]
        threshold = choose(others, others_degraded, others_degraded).high_precision
        alarms += any(
            clip.score >= threshold for clip in (*reals, *degraded) if clip.person == person
        )
    return alarms / len(people)


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
