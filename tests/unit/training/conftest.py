"""Faces made from numbers, as fixtures."""

import pytest

import made_faces
from fimq_training.manipulations.forgeries import Face
from fimq_training.manipulations.samples import Sample, SampleSet


@pytest.fixture(scope="session")
def make_sample():
    """A sample of a person by a seed."""
    return made_faces.sample


@pytest.fixture(scope="session")
def samples() -> SampleSet:
    """Six frames each of four people."""
    return made_faces.sample_set()


@pytest.fixture
def face(samples: SampleSet) -> Face:
    return Face(samples[0].pixels, samples[0].points, made_faces.WIDTH)


@pytest.fixture
def other(samples: SampleSet) -> Sample:
    return samples[7]
