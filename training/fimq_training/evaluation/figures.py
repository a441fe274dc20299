"""Evaluation: how well pooled scores of clips tell forged from real, with intervals.

People are the units of chance, not clips: clips of one person in one studio are nearly one
observation. So every interval comes from drawing people with replacement, and every person
weighs the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fimq.policy.pooling import Evidence, PoolingRule, pool
from fimq_training.evaluation.bootstrap import Interval
from fimq_training.manipulations.clips import Clip

Scorer = Callable[[NDArray[np.uint8]], NDArray[np.float64]]  #: crops -> scores in [0, 1]
DRAWS = 500  #: of people, for an interval


@dataclass(frozen=True, slots=True)
class Scored:
    """A clip's person, its faces' scores and the score of its track."""

    person: str
    name: str
    faces: NDArray[np.float64]
    score: float


def track_score(scores: Sequence[float]) -> float:
    """The score of a track, pooled as verdicts pool it, all faces of the same quality."""
    faces = [Evidence(i, float(i), float(score), 1.0) for i, score in enumerate(scores)]
    return pool(faces, PoolingRule())


def score_clips(clips: Sequence[Clip], scorer: Scorer, batch: int = 64) -> list[Scored]:
    """Score every crop and pool each clip."""
    crops = np.concatenate([clip.crops for clip in clips])
    scores = np.concatenate([scorer(crops[i : i + batch]) for i in range(0, len(crops), batch)])
    ends = np.cumsum([len(clip.crops) for clip in clips])
    return [
        Scored(clip.person, clip.name, faces, track_score(faces.tolist()))
        for clip, faces in zip(clips, np.split(scores, ends[:-1]), strict=True)
    ]


def auc(reals: Sequence[Scored], fakes: Sequence[Scored]) -> Interval:
    """The chance that a forged clip scores above a real one, of whoever."""
    real, fake = _scores(reals), _scores(fakes)
    wins = (fake[None] > real[:, None]) + 0.5 * (fake[None] == real[:, None])

    def measure(weights: Weights) -> float:
        low, high = weights
        total = float(low.sum() * high.sum())
        return float(low @ wins @ high) / total if total else float("nan")

    return _over_people([reals, fakes], measure)


def order(reals: Sequence[Scored], fakes: Sequence[Scored]) -> Interval:
    """The share of forged clips that score above their own real double, in the same order."""
    return _share(fakes, _scores(fakes) > _scores(reals))


def share_above(clips: Sequence[Scored], threshold: float) -> Interval:
    """The share of clips at or above a threshold: false positives where the clips are real."""
    return _share(clips, _scores(clips) >= threshold)


def even_weights(clips: Sequence[Scored]) -> NDArray[np.float64]:
    """Weights that add up to 1 and give every person the same, however many the clips."""
    people = [clip.person for clip in clips]
    weights = np.array([1 / people.count(person) for person in people])
    even: NDArray[np.float64] = weights / weights.sum()
    return even


Weights = list[NDArray[np.float64]]  #: for each list of clips, the weight of each clip


def _share(clips: Sequence[Scored], holds: NDArray[np.bool_]) -> Interval:
    return _over_people([clips], lambda weights: float(weights[0] @ holds / weights[0].sum()))


def _over_people(
    lists: Sequence[Sequence[Scored]], measure: Callable[[Weights], float]
) -> Interval:
    """Measure with everyone, and with people drawn again and again for the interval."""
    people = sorted({clip.person for clips in lists for clip in clips})
    owners = [np.array([people.index(clip.person) for clip in clips], np.intp) for clips in lists]
    shares = [1 / np.bincount(owner, minlength=len(people))[owner] for owner in owners]

    def measured(drawn: NDArray[np.intp]) -> float:
        return measure([drawn[owner] * share for owner, share in zip(owners, shares, strict=True)])

    rng = np.random.default_rng(0)
    count = len(people)
    values = [
        measured(np.bincount(rng.integers(count, size=count), minlength=count))
        for _ in range(DRAWS)
    ]
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return Interval(measured(np.ones(count, np.intp)), float(low), float(high))


def _scores(clips: Sequence[Scored]) -> NDArray[np.float64]:
    return np.array([clip.score for clip in clips])
