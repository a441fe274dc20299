"""Cuts: what is asked of a worker, and what keys of earlier releases still mean."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fimq.cuts import Cut, CutReport
from fimq.ledger.submission import Request


@given(st.integers(1, 10**6), st.integers(1, 1000))
def test_at_most_so_many_samples_are_spread_over_the_whole_video(frames: int, most: int) -> None:
    stride = Cut(frames=most).stride(frames)
    assert len(range(0, frames, stride)) <= most
    assert stride == 1 or len(range(0, frames, stride - 1)) > most


def test_what_a_job_keeps_is_read_back() -> None:
    cut = Cut(every=10, frames=4, size=64, largest=True, min_face=60)
    assert Cut.from_options(cut.options) == cut
    report = CutReport("ab/cd/ef", "e" * 64, 10, 2, 3, "h264", still=False, fimq="0.1.0")
    assert CutReport.from_document(report.document) == report


def test_keys_of_earlier_releases_mean_the_same_requests() -> None:
    assert Request().digest("a" * 64) == (
        "dc4d5d1bb33c49c4ecf01845e7f0578cde56fa36708be6dc061b183aba033d50"
    )


def test_another_cut_is_another_request() -> None:
    asked = {Request(cut=cut).digest("a" * 64) for cut in (None, Cut(), Cut(every=5))}
    assert len(asked) == 3
