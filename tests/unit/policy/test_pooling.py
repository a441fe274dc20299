"""Pooling: what a track's score promises, whatever the scores are."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fimq.policy.pooling import Evidence, PoolingRule, expit, logit, pool, suspect_runs

RULE = PoolingRule()
scores = st.floats(0, 1)
qualities = st.floats(0, 1)


def track(values: list[float], qualities: list[float] | None = None) -> list[Evidence]:
    qualities = qualities or [1.0] * len(values)
    return [
        Evidence(frame_index=25 * n, time_s=float(n), score=value, quality=quality)
        for n, (value, quality) in enumerate(zip(values, qualities, strict=True))
    ]


tracks = st.lists(st.tuples(scores, qualities), min_size=1, max_size=40).map(
    lambda rows: track([score for score, _ in rows], [quality for _, quality in rows])
)


@given(tracks, st.randoms(use_true_random=False))
def test_the_order_in_which_faces_are_given_does_not_matter(evidence, random) -> None:
    shuffled = list(evidence)
    random.shuffle(shuffled)
    assert pool(shuffled, RULE) == pool(evidence, RULE)


@given(tracks)
def test_a_score_is_a_number_between_the_lowest_and_the_highest(evidence) -> None:
    pooled = pool(evidence, RULE)
    assert math.isfinite(pooled)
    values = [expit(logit(face.score)) for face in evidence]
    assert min(values) - 1e-9 <= pooled <= max(values) + 1e-9


@given(st.integers(3, 60), st.floats(0.01, 0.4), st.integers(0, 59), qualities)
def test_one_outlier_does_not_decide(length, level, where, quality) -> None:
    values = [level] * length
    values[where % length] = 1.0
    weights = [1.0] * length
    weights[where % length] = quality
    assert pool(track(values, weights), RULE) == pytest.approx(level, abs=1e-6)


@given(st.floats(0.0, 1.0), st.integers(1, 30), st.integers(1, 30))
def test_more_of_the_same_evidence_changes_nothing(level, length, more) -> None:
    assert pool(track([level] * (length + more)), RULE) == pytest.approx(
        pool(track([level] * length), RULE), abs=1e-9
    )


@given(tracks, st.floats(0.01, 1))
def test_a_face_that_scores_higher_never_lowers_the_score(evidence, up) -> None:
    raised = [replace(face, score=min(1.0, face.score + up)) for face in evidence]
    assert pool(raised, RULE) >= pool(evidence, RULE) - 1e-9


def test_a_manipulation_of_ten_seconds_in_ten_minutes_is_seen() -> None:
    values = [0.05] * 600
    values[200:212] = [0.97] * 12
    assert pool(track(values), RULE) > 0.8


def test_a_long_track_of_doubtful_scores_is_not_accused_for_its_length() -> None:
    # One face in ten scores high by chance; a minute and ten hours must not differ much.
    pattern = [0.2, 0.3, 0.1, 0.4, 0.2, 0.3, 0.25, 0.15, 0.3, 0.8]
    short, long = pool(track(pattern * 6), RULE), pool(track(pattern * 600), RULE)
    assert long <= short + 1e-9


def test_without_evidence_there_is_no_score() -> None:
    with pytest.raises(ValueError, match="no evidence"):
        pool([], RULE)


def test_runs_are_found_with_their_seconds() -> None:
    values = [0.1, 0.1, 0.9, 0.9, 0.9, 0.9, 0.1, 0.1, 0.9, 0.1]
    runs = suspect_runs(track(values), 0.5, 3, RULE)
    assert [(run.start_s, run.end_s, run.faces) for run in runs] == [(2.0, 5.0, 4)]


@given(tracks, st.floats(0.05, 0.95))
def test_a_single_high_face_makes_no_run(evidence, threshold) -> None:
    low = [replace(face, score=0.0) for face in evidence]
    low[len(low) // 2] = replace(low[len(low) // 2], score=1.0)
    assert suspect_runs(low, threshold, 2, RULE) == []
