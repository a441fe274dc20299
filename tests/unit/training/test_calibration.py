import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fimq.policy.pooling import Evidence, PoolingRule, expit, logit, pool
from fimq_training.calibration.length import choose
from fimq_training.calibration.streams import LENGTHS, Pooled, Simulation


@given(
    st.lists(st.floats(0.001, 0.999), min_size=1, max_size=40),
    st.sampled_from([0.0, 0.35, 1.0]),
)
def test_pooling_of_streams_is_that_of_verdicts(scores, penalty):
    faces = [Evidence(i, float(i), score, 1.0) for i, score in enumerate(scores)]
    wanted = pool(faces, PoolingRule(window_penalty=penalty))
    logits = np.array([[logit(score) for score in scores]])
    assert expit(float(Pooled.of(logits).at(penalty)[0])) == pytest.approx(wanted, abs=1e-9)


def videos(count=40, length=75, *, seed=0, scene=0.5, noise=0.6, alike=0.6):
    """Real videos: an offset of their own, and noise whose neighbours are alike."""
    rng, result = np.random.default_rng(seed), []
    for _ in range(count):
        drawn = rng.normal(0, noise, length)
        for n in range(1, length):
            drawn[n] = alike * drawn[n - 1] + np.sqrt(1 - alike**2) * drawn[n]
        result.append(rng.normal(-2, scene) + drawn)
    return result


class TestStreams:
    def test_they_have_the_length_and_the_values_of_videos(self):
        real = videos(5)
        streams = Simulation().streams(real, 130, 7)
        assert streams.shape == (7, 130)
        assert set(streams.ravel()) <= set(np.concatenate(real))

    def test_neighbours_stay_alike(self):
        streams = Simulation().streams(videos(alike=0.95, scene=0.01), 240, 40)
        near = np.corrcoef(streams[:, :-1].ravel(), streams[:, 1:].ravel())[0, 1]
        far = np.corrcoef(streams[:, :-100].ravel(), streams[:, 100:].ravel())[0, 1]
        assert near > 0.7
        assert abs(far) < 0.3

    def test_the_seed_decides_them(self):
        real = videos(5)
        one, two = (Simulation(seed=3).streams(real, 60, 2) for _ in range(2))
        assert np.array_equal(one, two)
        assert not np.array_equal(one, Simulation(seed=4).streams(real, 60, 2))


class TestOperatingPoint:
    @settings(max_examples=3, deadline=None)
    @given(st.integers(0, 100))
    def test_false_positives_hold_for_every_length_and_any_frame_does_not(self, seed):
        real = videos(80, seed=seed)
        chosen = choose(real, 0.05, streams=300, seed=seed)
        assert set(chosen.rates) == set(LENGTHS)
        # Of 300 streams; 1.5 times the target, and twice the noise of so few.
        for rate in chosen.rates.values():
            assert rate <= 1.5 * 0.05 + 2 * np.sqrt(0.05 * 0.95 / 300)
        assert chosen.any_frame["60 min"] > 0.5

    def test_the_penalty_is_larger_where_windows_differ_more(self):
        calm = choose(videos(noise=0.1, scene=1.0), 0.05, streams=100)
        wild = choose(videos(noise=2.0, scene=0.2, alike=0.9), 0.05, streams=100)
        assert wild.penalty > calm.penalty
