"""Sampling: its text, its stride, its clock."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fimq_worker.vision.sampler.base import Sampling, SamplingInvalid, Span
from fimq_worker.vision.sampler.clock import Clock


@pytest.mark.parametrize("text", ["every:25", "every:1", "fps:0.5", "fps:1", "keyframes"])
def test_text_comes_back_as_it_was(text: str) -> None:
    assert str(Sampling.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "every", "every:0", "every:-1", "every:2.5", "fps:nan", "fps:inf", "keyframes:2", "x:1"],
)
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(SamplingInvalid):
        Sampling.parse(text)


@given(frames=st.integers(1, 10_000), stride=st.integers(1, 500))
def test_short_videos_get_enough_samples(frames: int, stride: int) -> None:
    fitted = Sampling("every", stride).for_length(frames, min_samples=16).stride
    halved = [stride >> times for times in range(stride.bit_length())]
    enough = [value for value in halved if -(-frames // value) >= 16]
    assert fitted == (enough[0] if enough else 1)


def test_a_long_video_keeps_its_stride() -> None:
    assert Sampling("every", 25).for_length(376).stride == 25
    assert Sampling("every", 25).for_length(375).stride == 12


def test_frames_a_second_come_at_each_second() -> None:
    clock = Clock(Sampling.parse("fps:1"), Fraction(1, 30), Fraction(30))
    wanted = [index for index in range(95) if clock.tick(index, index + 7, key=False).wanted]
    assert wanted == [0, 30, 60, 90]


def test_a_clock_started_in_the_middle_goes_on_alike() -> None:
    pts = [5, 9, 30, 31, 70, 71, 90, 120, 121]
    whole = Clock(Sampling.parse("fps:2"), Fraction(1, 30), Fraction(30))
    ticks = [whole.tick(index, value, key=False) for index, value in enumerate(pts)]
    part = Clock(
        Sampling.parse("fps:2"),
        Fraction(1, 30),
        Fraction(30),
        origin_pts=pts[0],
        previous_pts=pts[3],
    )
    assert [part.tick(i, pts[i], key=False) for i in range(4, 9)] == ticks[4:]


@pytest.mark.parametrize("pts", [[0, None, 2], [0, 0, 2], [0, -5, 2]])
def test_a_time_that_cannot_be_used_is_estimated(pts: list[int | None]) -> None:
    clock = Clock(Sampling("every", 1), Fraction(1, 25), Fraction(25))
    ticks = [clock.tick(index, value, key=False) for index, value in enumerate(pts)]
    assert [tick.estimated for tick in ticks] == [False, True, False]
    assert [tick.time_s for tick in ticks] == pytest.approx([0, 0.04, 0.08])


def test_a_span_survives_the_wire() -> None:
    span = Span(100, 50, 2.0, 99, 60, 4000, 1234, 0, 3960)
    assert Span.from_dict(span.to_dict()) == span
    assert span.last_frame == 149
