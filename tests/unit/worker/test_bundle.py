"""Bundles: the crops of a video in one file."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fimq.errors import BundleDamaged
from fimq_worker import bundle
from fimq_worker.cutting import CutFace, Cuts, CutSample

_NUMBERS = st.floats(-1e6, 1e6)
_FACES = st.lists(
    st.builds(CutFace, st.integers(0, 999), st.tuples(*[_NUMBERS] * 4), _NUMBERS, st.binary()),
    unique_by=lambda face: face.ordinal,
    max_size=4,
)
_SAMPLES = st.lists(
    st.builds(
        CutSample,
        st.integers(0, 10**7),
        st.none() | st.integers(-(2**63), 2**63 - 1),
        _NUMBERS,
        _FACES.map(tuple),
    ),
    unique_by=lambda sample: sample.frame,
    max_size=4,
)


def written(samples: list[CutSample], job_id: str = "job") -> bytes:
    file = io.BytesIO()
    assert list(bundle.write(file, job_id, Cuts("h264", still=False, samples=samples))) == samples
    return file.getvalue()


@given(_SAMPLES)
@settings(max_examples=50)
def test_what_is_read_is_what_was_written(samples: list[CutSample]) -> None:
    found = bundle.read(io.BytesIO(written(samples)))
    assert (found.codec, found.still, list(found.samples)) == ("h264", False, samples)


SAMPLES = [CutSample(25, 7, 1.0, (CutFace(0, (1.0, 2.0, 3.0, 4.0), 0.9, b"png" * 100),))]


def test_the_same_cut_gives_the_same_bytes_and_another_job_others() -> None:
    assert written(SAMPLES) == written(SAMPLES) != written(SAMPLES, "other")


@pytest.mark.parametrize("keep", [0, 10, 200, -10])
def test_a_bundle_that_is_not_whole_is_said(keep: int) -> None:
    with pytest.raises(BundleDamaged):
        list(bundle.read(io.BytesIO(written(SAMPLES)[:keep])).samples)


def test_a_flipped_bit_in_a_crop_is_said() -> None:
    content = written(SAMPLES).replace(b"pngpng", b"pngPng", 1)
    with pytest.raises(BundleDamaged):
        list(bundle.read(io.BytesIO(content)).samples)
