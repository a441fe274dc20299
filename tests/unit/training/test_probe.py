"""That codec and sharpness alone do not tell the label of a pair."""

import cv2
import numpy as np
import pytest

from fimq_training.manipulations.pairs import PairMaker
from fimq_training.manipulations.probe import features, tells
from fimq_training.manipulations.samples import SampleSet

PAIRS = 240


@pytest.fixture(scope="module")
def pairs(many):
    maker = PairMaker(many, 21)
    return [maker.pair() for _ in range(PAIRS)]


@pytest.fixture(scope="module")
def many(make_sample):
    """Three frames each of twenty people."""
    return SampleSet(make_sample(f"person_{p}", 10 * p + n) for p in range(20) for n in range(3))


def told(pairs, altered=lambda crop: crop):
    """What the probe reaches; `altered` is done to fakes alone."""
    crops = np.stack([*(pair.real for pair in pairs), *(altered(pair.fake) for pair in pairs)])
    people = np.array([pair.person for pair in pairs] * 2)
    return tells(crops, np.repeat([False, True], len(pairs)), people)


def test_the_label_cannot_be_told(pairs):
    assert told(pairs) < 0.6


@pytest.mark.parametrize(
    "altered",
    [
        lambda crop: cv2.GaussianBlur(crop, (0, 0), 0.6),
        lambda crop: cv2.imdecode(cv2.imencode(".jpg", crop, [1, 70])[1], 1),
        lambda crop: cv2.resize(cv2.resize(crop, (112, 112)), (128, 128)),
    ],
    ids=["blurred", "recoded", "resized"],
)
def test_fakes_that_were_treated_otherwise_are_told(pairs, altered):
    """The probe can see: what it must not find, it finds where it is."""
    assert told(pairs, altered) > 0.8


def test_features_are_finite_also_of_an_empty_picture():
    assert np.isfinite(features(np.zeros((128, 128, 3), np.uint8))).all()
