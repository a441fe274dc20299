"""The parts of an evaluation on crops: what each is held against."""

from dataclasses import replace

import numpy as np
import pytest

from extras import need

need("tensorflow", extra="training")

from crop_folder import crop
from fimq.policy.pooling import PoolingRule, expit, logit
from fimq_training.evaluation.crop_report import _measures_lines
from fimq_training.evaluation.judged import Judged
from fimq_training.evaluation.measures import measure
from fimq_training.evaluation.predictions import Predictions


def judged(*groups):
    """Rows of (manipulated, compression, face size, scores)."""
    rows = [
        (manipulated, compression, size, score)
        for manipulated, compression, size, scores in groups
        for score in scores
    ]
    labels, compressions, sizes, scores = zip(*rows, strict=True)
    return Judged(
        labels=np.array(labels),
        scores=np.array(scores, np.float64),
        units=tuple(map(str, range(len(rows)))),
        collections=tuple("Deepfakes" if fake else "Youtube" for fake in labels),
        compressions=compressions,
        sizes=np.array(sizes, np.float64),
    )


@pytest.fixture
def codec():
    """Scores of a model that sees the codec alone: c40 is high, whatever it shows."""
    low, high = np.linspace(0.1, 0.3, 20), np.linspace(0.7, 0.9, 20)
    rows = judged(
        (False, "c23", 80, low),
        (True, "c23", 80, low),
        (False, "c40", 200, high),
        (True, "c40", 200, high),
        (True, "raw", 110, high),
    )
    return measure("crops", rows, rows, draws=20)


@pytest.mark.parametrize("by", ["compression", "face size"])
def test_a_value_is_held_against_real_rows_of_the_same(codec, by):
    first, second = [part for part in codec.parts[by] if part.auc is not None]
    assert (first.auc.value, second.auc.value) == (0.5, 0.5)
    assert (first.rows, second.rows) == (20, 20)


@pytest.mark.parametrize(("by", "alone"), [("compression", "raw"), ("face size", "96-127 px")])
def test_a_value_without_real_rows_has_no_auc_and_says_why(codec, by, alone):
    (part,) = [part for part in codec.parts[by] if part.name == alone]
    assert part.auc is None
    line = f"| {alone} | 20 | no real row of {alone} | {part.called} |"
    assert line in _measures_lines(codec)


def test_a_video_is_pooled_by_the_models_own_rule():
    rows = [
        replace(crop("one", manipulated=True, collection="Deepfakes"), frame=n) for n in range(40)
    ]
    of_fakes = np.where(np.arange(40) < 10, 0.9, 0.1)

    def score(penalty):
        scores = np.stack([of_fakes, 1 - of_fakes], 1)
        rule = PoolingRule(window_penalty=penalty)
        made = Predictions(rows, ("fake", "real"), (True, False), scores, rule)
        return float(Judged.videos(made).scores[0])

    assert score(0.0) == pytest.approx(0.9)
    assert score(1.0) == pytest.approx(expit(logit(0.9) - np.log(5)))


def test_a_method_is_held_against_all_real_rows(codec):
    (method,) = codec.parts["method"]
    assert method.auc.value == pytest.approx(0.6, abs=0.05)
    assert [part.auc for part in codec.parts["real source"]] == [None]
