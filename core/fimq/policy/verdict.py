"""The verdict: what a job says in the end, from counts and tracks alone.

Never an accusation from one face, never a clearance from a half decoded film or without a
scored face, never a score where none was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fimq.policy.pooling import Evidence, pool, suspect_runs
from fimq.policy.rules import Outcome, Policy, Thresholds


@dataclass(frozen=True, slots=True)
class Counts:
    """What was looked at."""

    samples_planned: int
    samples_decoded: int  #: delivered undamaged
    samples_with_faces: int
    faces_found: int
    faces_scored: int
    faces_too_small: int
    faces_unusable: int

    @property
    def coverage(self) -> float:
        """Share of the planned samples that were decoded undamaged, in [0, 1]."""
        if self.samples_planned == 0:
            return 0.0
        return min(1.0, self.samples_decoded / self.samples_planned)


@dataclass(frozen=True, slots=True)
class ScoredTrack:
    """The scored faces of one track."""

    ordinal: int
    evidence: Sequence[Evidence]


@dataclass(frozen=True, slots=True)
class Segment:
    """Seconds in which one track looks suspect."""

    start_s: float
    end_s: float
    track: int
    score: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome with what led to it. `score` is None unless a face was scored."""

    outcome: Outcome
    reason: str | None
    score: float | None
    track: int | None
    segments: tuple[Segment, ...]
    track_scores: dict[int, float]


def judge(
    counts: Counts, tracks: Sequence[ScoredTrack], thresholds: Thresholds, policy: Policy
) -> Verdict:
    """The verdict on a video. The order of tracks does not matter."""
    scored = [track for track in tracks if track.evidence]
    if not scored:
        return Verdict(*_nothing_scored(counts, policy), None, None, (), {})

    scores = {track.ordinal: pool(track.evidence, policy.pooling) for track in scored}
    segments = tuple(
        Segment(run.start_s, run.end_s, track.ordinal, run.score)
        for track in sorted(scored, key=lambda track: track.ordinal)
        if scores[track.ordinal] >= thresholds.high_recall
        for run in suspect_runs(
            track.evidence, thresholds.high_recall, policy.support, policy.pooling
        )
    )
    by_ordinal = {track.ordinal: track for track in scored}
    accused = [
        ordinal
        for ordinal, score in scores.items()
        if score >= thresholds.high_precision
        and any(segment.track == ordinal for segment in segments)
        and _mean_quality(by_ordinal[ordinal]) >= policy.quality
    ]
    top = max(accused or scores, key=lambda ordinal: (scores[ordinal], -ordinal))
    outcome, reason = _outcome(bool(accused), max(scores.values()), counts, thresholds, policy)
    return Verdict(outcome, reason, scores[top], top, segments, scores)


def _mean_quality(track: ScoredTrack) -> float:
    return sum(face.quality for face in track.evidence) / len(track.evidence)


def _nothing_scored(counts: Counts, policy: Policy) -> tuple[Outcome, str]:
    if counts.coverage < policy.coverage:
        return "uncertain", "low_coverage"
    if counts.faces_found == 0:
        return "not_applicable", "no_face"
    if counts.faces_unusable == 0:
        return "not_applicable", "faces_too_small"
    return "not_applicable", "faces_unusable"


def _outcome(
    accused: bool,  # noqa: FBT001 - private, named at its one call
    highest: float,
    counts: Counts,
    thresholds: Thresholds,
    policy: Policy,
) -> tuple[Outcome, str | None]:
    if accused:
        return "manipulated", None
    if counts.coverage < policy.coverage:
        return "uncertain", "low_coverage"
    if counts.faces_scored < policy.faces:
        return "uncertain", "too_few_faces"
    if highest < thresholds.high_recall:
        return "no_manipulation_found", None
    if highest >= thresholds.high_precision:
        return "uncertain", "too_little_support"
    return "uncertain", "between_thresholds"
