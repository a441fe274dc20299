import numpy as np
import pytest

from fimq.policy.pooling import expit
from fimq_training.calibration import thresholds
from fimq_training.evaluation import figures
from fimq_training.evaluation.figures import Scored


def clips(logits, *, people=8, name="real"):
    return [
        Scored(f"person_{i % people}", name, np.full(4, expit(value)), expit(value))
        for i, value in enumerate(logits)
    ]


def test_auc_is_one_apart_and_half_where_alike():
    low, high = clips([-1.0] * 16), clips([1.0] * 16)
    assert figures.auc(low, high).value == 1
    assert figures.auc(low, low).value == 0.5


def test_auc_weighs_people_and_not_clips():
    # One person has nine clips below every real one, the other a single one above.
    reals = clips([0.0] * 10, people=2)
    fakes = [Scored("person_0", "swap", np.ones(1), 0.1)] * 9
    fakes += [Scored("person_1", "swap", np.ones(1), 0.9)]
    assert figures.auc(reals, fakes).value == pytest.approx(0.5)


def test_order_is_about_doubles_even_where_scenes_differ():
    scenes = np.linspace(-3, 3, 16)
    reals, fakes = clips(scenes), clips(scenes + 0.5)
    assert figures.order(reals, fakes).value == 1
    assert figures.auc(reals, fakes).value < 0.7


def test_an_interval_holds_its_value():
    rng = np.random.default_rng(0)
    figure = figures.auc(clips(rng.normal(0, 1, 40)), clips(rng.normal(1, 1, 40)))
    assert figure.low < figure.value < figure.high


def test_calibration_finds_the_line_that_scores_were_drawn_from():
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 1, 8000)
    is_fake = rng.random(8000) < 1 / (1 + np.exp(-truth))
    raw = (truth - 0.5) * 2  # so that raw / 2 + 0.5 is the truth
    # Few people with very many clips: each weighs the same.
    reals, fakes = clips(raw[~is_fake]), clips(raw[is_fake])
    found = thresholds.calibrate(reals, fakes)
    assert found.temperature == pytest.approx(2, rel=0.1)
    assert found.bias == pytest.approx(0.5, abs=0.1)


def test_high_precision_lets_through_the_wanted_share_of_real_clips():
    rng = np.random.default_rng(1)
    reals, degraded = clips(rng.normal(0, 1, 80)), clips(rng.normal(0, 1, 320))
    fakes = clips(rng.normal(1, 1, 160))
    chosen = thresholds.choose(reals, degraded, fakes)
    called = figures.share_above([*reals, *degraded], chosen.high_precision).value
    assert called == pytest.approx(thresholds.FALSE_ALARMS, abs=0.01)
    assert figures.share_above(fakes, chosen.high_recall).value >= 0.89
    assert chosen.high_recall < chosen.high_precision


def test_high_recall_is_never_above_high_precision():
    chosen = thresholds.choose(clips([-1.0] * 40), clips([-1.0] * 40), clips([3.0] * 40))
    assert chosen.high_recall <= chosen.high_precision


def test_a_person_unlike_the_others_is_accused_when_left_out():
    ordinary = clips([-1.1, -1.0] * 8, people=8)
    odd = [Scored("odd", "real", np.full(4, expit(3.0)), expit(3.0)) for _ in range(3)]
    reals = [*ordinary, *odd]
    unseen = thresholds.of_the_unseen(reals, reals, reals)
    assert unseen.people == 9
    assert unseen.clips == 19
    # At the threshold of those others, and only there, the odd one's three clips are called.
    assert thresholds.choose(reals, reals, reals).high_precision == pytest.approx(expit(3.0))
    alone = thresholds.of_the_unseen(reals, reals, odd)
    assert (alone.clips, alone.called, alone.people, alone.accused) == (3, 3, 1, 1)
    calm = thresholds.of_the_unseen(reals, reals, ordinary)
    assert calm.called == calm.accused == 0


def test_few_people_promise_little():
    assert thresholds.upper_bound(16) == pytest.approx(0.171, abs=0.001)
