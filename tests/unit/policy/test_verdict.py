"""The verdict: what may accuse, what may clear, and what has no score."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fimq.errors import PolicyMissing
from fimq.policy.pooling import Evidence
from fimq.policy.rules import POLICIES, Thresholds, find_policy
from fimq.policy.verdict import Counts, ScoredTrack, judge

POLICY = POLICIES["standard"]
LIMITS = Thresholds(high_precision=0.8, high_recall=0.4)


def counts(planned: int = 20, decoded: int = 20, found: int = 20, scored: int = 20, **more: int):
    return Counts(planned, decoded, found, found, scored, more.get("small", 0), more.get("bad", 0))


def one(values: list[float], ordinal: int = 0, quality: float = 0.9) -> ScoredTrack:
    return ScoredTrack(
        ordinal, [Evidence(25 * n, float(n), value, quality) for n, value in enumerate(values)]
    )


tracks = st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=12), max_size=4).map(
    lambda all_: [one(values, ordinal) for ordinal, values in enumerate(all_)]
)
any_counts = st.builds(
    Counts,
    st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(0, 50),
    st.integers(0, 50), st.integers(0, 50), st.integers(0, 50),
)  # fmt: skip


@given(any_counts, tracks)
def test_whatever_comes_the_promises_hold(seen, all_tracks) -> None:
    said = judge(seen, all_tracks, LIMITS, POLICY)
    if said.outcome == "no_manipulation_found":
        assert seen.coverage >= 0.95
        assert seen.faces_scored >= POLICY.faces
        assert max(said.track_scores.values()) < LIMITS.high_recall
    if said.outcome == "manipulated":
        assert said.track is not None
        assert said.score is not None
        assert said.score >= LIMITS.high_precision
        assert any(segment.track == said.track for segment in said.segments)
    if said.outcome == "not_applicable":
        assert said.score is None
    assert (said.score is None) == (not all_tracks)
    assert said.score is None or math.isfinite(said.score)
    assert (said.reason is None) == (said.outcome in {"manipulated", "no_manipulation_found"})


@given(any_counts, tracks)
def test_the_order_of_tracks_does_not_matter(seen, all_tracks) -> None:
    assert judge(seen, all_tracks, LIMITS, POLICY) == judge(seen, all_tracks[::-1], LIMITS, POLICY)


@given(st.integers(4, 30), st.floats(0.85, 1), st.integers(1, 30))
def test_more_of_the_same_evidence_never_takes_certainty_back(length, level, more) -> None:
    assert judge(counts(), [one([level] * length)], LIMITS, POLICY).outcome == "manipulated"
    assert (
        judge(counts(), [one([level] * (length + more))], LIMITS, POLICY).outcome == "manipulated"
    )


def test_one_face_of_five_hundred_does_not_accuse() -> None:
    values = [0.05] * 500
    values[250] = 0.99
    assert judge(counts(500, 500, 500, 500), [one(values)], LIMITS, POLICY).outcome == (
        "no_manipulation_found"
    )


def test_of_two_persons_the_swapped_one_is_named() -> None:
    said = judge(counts(), [one([0.05] * 10), one([0.95] * 10, ordinal=1)], LIMITS, POLICY)
    assert (said.outcome, said.track) == ("manipulated", 1)
    assert {segment.track for segment in said.segments} == {1}


@pytest.mark.parametrize(
    ("seen", "all_tracks", "outcome", "reason"),
    [
        (counts(found=0, scored=0), [], "not_applicable", "no_face"),
        (counts(scored=0, small=20), [], "not_applicable", "faces_too_small"),
        (counts(scored=0, small=3, bad=17), [], "not_applicable", "faces_unusable"),
        (counts(decoded=9, found=0, scored=0), [], "uncertain", "low_coverage"),
        (counts(decoded=9), [one([0.1] * 9)], "uncertain", "low_coverage"),
        (counts(decoded=9), [one([0.95] * 9)], "manipulated", None),
        (counts(found=1, scored=1), [one([0.1])], "uncertain", "too_few_faces"),
        (counts(), [one([0.1] * 20)], "no_manipulation_found", None),
        (counts(), [one([0.6] * 20)], "uncertain", "between_thresholds"),
        (counts(), [one([0.95] * 20, quality=0.1)], "uncertain", "too_little_support"),
        (counts(), [one([0.95] * 2), one([0.1] * 20, 1)], "uncertain", "too_little_support"),
    ],
)  # fmt: skip
def test_each_case_has_its_outcome_and_reason(seen, all_tracks, outcome, reason) -> None:
    said = judge(seen, all_tracks, LIMITS, POLICY)
    assert (said.outcome, said.reason) == (outcome, reason)


def test_a_policy_is_found_by_name_and_by_version() -> None:
    assert find_policy("standard") is find_policy("standard@1")
    for wrong in ("standard@2", "lenient"):
        with pytest.raises(PolicyMissing):
            find_policy(wrong)


def test_coverage_of_nothing_planned_is_nothing() -> None:
    assert replace(counts(), samples_planned=0).coverage == 0
