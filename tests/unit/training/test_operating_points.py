"""What operating points are taken of: videos, never stills."""

from dataclasses import replace

import numpy as np
import pytest

from extras import need

need("tensorflow", extra="training")

from crop_folder import crop
from fimq.errors import CalibrationImpossible
from fimq.policy.pooling import expit
from fimq_training.calibration.operating_points import find
from fimq_training.evaluation.predictions import Predictions

WANTED = {"wanted": 0.1, "missed": 0.1, "sampling": "every:25"}


def predictions(*, videos=10, stills=0, forged=10, still=-1):
    """Crops of real videos and of real stills, and of manipulated videos, 20 of each video."""
    rng, rows, logits = np.random.default_rng(0), [], []

    def add(kind, count, *, manipulated=False, level, frames=20):
        for number in range(count):
            made = crop(f"{kind}{number:03d}", manipulated=manipulated, collection=kind)
            for frame in range(frames):
                moment = {"pts": None, "time_s": None} if frames == 1 else {"pts": frame}
                file = f"faces/{kind}{number:03d}-{frame}.png"
                rows.append(replace(made, frame=frame, file=file, **moment))
                logits.append(rng.normal(level, 0.5))

    add("Youtube", videos, level=-1)
    add("CelebA", stills, level=still, frames=1)
    add("Deepfakes", forged, manipulated=True, level=1)
    scores = np.array([expit(value) for value in logits])
    return Predictions(rows, ("fake", "real"), (True, False), np.stack([scores, 1 - scores], 1))


def test_stills_are_no_videos_and_promise_nothing():
    points = find(predictions(stills=500), **WANTED)
    assert (points.real_videos, points.real_people) == (10, 10)
    assert points.promise == find(predictions(), **WANTED).promise


def test_stills_that_score_high_do_not_raise_the_threshold():
    points = find(predictions(stills=8, still=1.5), **WANTED)
    real, still = (points.calibration.apply(expit(level)) for level in (-1, 1.5))
    assert real < points.high_precision < still


@pytest.mark.parametrize("of", [{"videos": 0}, {"forged": 0}])
def test_stills_alone_calibrate_nothing_and_it_says_why(of):
    with pytest.raises(CalibrationImpossible, match="500 crops are of stills"):
        find(predictions(stills=500, **of), **WANTED)
