"""Pooling: the scores of one track become one score, in which no single face decides.

Scores are pooled as logits: a quality-weighted mean, trimmed at both ends by a tenth of
the weight and by no less than the heaviest single face, so that one outlier is always cut
off. A track that was manipulated only for a while is found by its strongest window of
consecutive faces; because a long track has many windows, a window counts less the longer
the track is. Tracks of one and the same score pool to that score, whatever their length.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

#: Scores are kept this far from 0 and 1, so that logits are finite (|logit| < 9.3).
_EDGE = 1e-4
#: A face of the worst quality still counts this much.
_LEAST_WEIGHT = 0.05


@dataclass(frozen=True, slots=True)
class Evidence:
    """One scored face of a track."""

    frame_index: int
    time_s: float
    score: float  #: in [0, 1]
    quality: float  #: in [0, 1]


@dataclass(frozen=True, slots=True)
class PoolingRule:
    """How a track's scores are pooled. Part of a policy."""

    trim: float = 0.1  #: share of the weight cut off at each end
    window: int = 8  #: faces in a window
    window_penalty: float = 0.35  #: logits a window loses for each e-fold of windows in a track


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive faces of a track that all look suspect."""

    start_s: float
    end_s: float
    faces: int
    score: float


def logit(score: float) -> float:
    """The log odds of a score, finite for every score in [0, 1]."""
    kept = min(1 - _EDGE, max(_EDGE, score))
    return math.log(kept / (1 - kept))


def expit(value: float) -> float:
    """The score of a log odds."""
    # Beyond that, the exponential has no number.
    return 1 / (1 + math.exp(min(-value, 700.0)))


def pool(evidence: Sequence[Evidence], rule: PoolingRule) -> float:
    """The score of a track, in [0, 1]. The order in which faces are given does not matter.

    Raises:
        ValueError: there is no evidence.
    """
    faces = _in_time(evidence)
    whole = _trimmed_mean(faces, rule.trim)
    if len(faces) <= rule.window:
        return expit(whole)
    penalty = rule.window_penalty * math.log(len(faces) / rule.window)
    strongest = max(
        _trimmed_mean(faces[start : start + rule.window], rule.trim)
        for start in range(len(faces) - rule.window + 1)
    )
    return expit(max(whole, strongest - penalty))


def suspect_runs(
    evidence: Sequence[Evidence], threshold: float, support: int, rule: PoolingRule
) -> list[Run]:
    """Runs of at least `support` consecutive faces whose smoothed scores reach `threshold`.

    A face's smoothed score is the median of itself and its neighbours, so that one face
    neither makes nor breaks a run.
    """
    faces = _in_time(evidence) if evidence else []
    runs: list[Run] = []
    current: list[Evidence] = []
    for position, face in enumerate(faces):
        around = [near.score for near in faces[max(0, position - 1) : position + 2]]
        # At an end there are two: the lower one, for a run must be carried by its neighbours.
        if sorted(around)[(len(around) - 1) // 2] >= threshold:
            current.append(face)
            continue
        runs += _run(current, support, rule)
        current = []
    return runs + _run(current, support, rule)


def _run(faces: list[Evidence], support: int, rule: PoolingRule) -> list[Run]:
    if len(faces) < support:
        return []
    score = expit(_trimmed_mean(faces, rule.trim))
    return [Run(faces[0].time_s, faces[-1].time_s, len(faces), score)]


def _in_time(evidence: Sequence[Evidence]) -> list[Evidence]:
    if not evidence:
        raise ValueError("no evidence to pool")
    return sorted(evidence, key=lambda face: (face.frame_index, face.score, face.quality))


def _trimmed_mean(faces: Sequence[Evidence], trim: float) -> float:
    """Weighted mean of logits without `trim` of the weight at each end, in log odds.

    At least the heaviest face's weight is cut off at each end where three or more faces
    are left to say something; where that would leave nothing, it is the weighted median.
    """
    rows = sorted((logit(face.score), max(_LEAST_WEIGHT, face.quality)) for face in faces)
    total = math.fsum(weight for _, weight in rows)
    if len(rows) < 3:
        return math.fsum(value * weight for value, weight in rows) / total
    cut = max(trim * total, max(weight for _, weight in rows))
    if 2 * cut >= total * (1 - 1e-9):
        return _weighted_median(rows, total)
    kept: list[tuple[float, float]] = []
    position = 0.0
    for value, weight in rows:
        inside = min(position + weight, total - cut) - max(position, cut)
        if inside > 0:
            kept.append((value, inside))
        position += weight
    inside_total = math.fsum(weight for _, weight in kept)
    return math.fsum(value * weight for value, weight in kept) / inside_total


def _weighted_median(rows: Sequence[tuple[float, float]], total: float) -> float:
    position = 0.0
    for value, weight in rows:
        position += weight
        if position >= total / 2:
            return value
    return rows[-1][0]
