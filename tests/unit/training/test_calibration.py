import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fimq.errors import CalibrationImpossible
from fimq.policy.pooling import Evidence, PoolingRule, expit, logit, pool
from fimq_training.calibration import temperature
from fimq_training.calibration.length import choose, hold
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


WANTED, VIDEOS, STREAMS = 0.05, 4000, 2000
MARGIN = 1.645 * np.sqrt(WANTED * (1 - WANTED) * (2 / STREAMS + 2 / VIDEOS))  #: .014


@pytest.fixture(scope="module", params=[0, 1])
def halves(request):
    """Two halves of real videos: to choose on, and to check on."""
    real = videos(2 * VIDEOS, seed=request.param)
    return real[:VIDEOS], real[VIDEOS:]


@pytest.fixture(scope="module")
def chosen(halves):
    return choose(halves[0], WANTED, streams=STREAMS)


@pytest.fixture(scope="module")
def others(halves):
    """Streams of every length, of the videos that were not chosen on."""
    simulation = Simulation(seed=1000)
    return {name: simulation.streams(halves[1], n, STREAMS) for name, n in LENGTHS.items()}


class TestOperatingPoint:
    def test_the_rate_holds_for_videos_that_it_was_not_chosen_on(self, chosen, others):
        """Within 1.5 times what was wanted, and the sampling error of this test.

        The threshold is a quantile of STREAMS streams of VIDEOS videos, the rate a share of as
        many others; the error of both together, at 95 % to one side, is MARGIN.
        """
        for name, streams in others.items():
            rate = np.mean(Pooled.of(streams).at(chosen.penalty) >= chosen.threshold)
            assert rate <= 1.5 * WANTED + MARGIN, name

    def test_what_it_says_of_itself_holds_likewise(self, chosen):
        assert set(chosen.rates) == set(LENGTHS)
        assert max(chosen.rates.values()) <= 1.5 * WANTED + MARGIN

    def test_without_a_penalty_no_threshold_is_right_for_both_ends(self, others):
        """So that the bound above can be missed: at 10 s right, an hour is always called."""
        ends = [Pooled.of(others[name]).at(0.0) for name in ("10 s", "60 min")]
        threshold = np.quantile(ends[0], 1 - WANTED)
        assert np.mean(ends[1] >= threshold) > 0.5

    def test_any_frame_does_not_hold(self, chosen):
        assert chosen.any_frame["60 min"] > 0.5

    def test_the_penalty_is_larger_where_windows_differ_more(self):
        calm = choose(videos(noise=0.1, scene=1.0), 0.05, streams=100)
        wild = choose(videos(noise=2.0, scene=0.2, alike=0.9), 0.05, streams=100)
        assert wild.penalty > calm.penalty


class TestTemperatureFarOff:
    """Where logits are far from nought as a whole, undamped steps would run away."""

    @given(st.floats(-12, 12), st.floats(0.3, 3), st.integers(0, 99))
    def test_the_likeliest_line_is_found(self, mean, spread, seed):
        rng = np.random.default_rng(seed)
        labels = np.repeat([False, True], 120)
        logits = mean + spread * (rng.normal(size=240) + 0.8 * labels)
        found = temperature.fit(logits, labels, np.ones(240))
        margins = logits / found.temperature + found.bias
        expected = 1 / (1 + np.exp(-margins))
        # At the optimum the residuals are orthogonal to both columns.
        assert abs((expected - labels).sum()) < 1e-4
        assert abs(((expected - labels) * logits).sum()) < 1e-3

    def test_labels_that_are_told_apart_without_a_fault_have_an_end(self):
        logits = np.array([-3.0, -2.0, 2.0, 3.0])
        found = temperature.fit(logits, logits > 0, np.ones(4))
        assert found.temperature >= 1 / temperature.STEEPEST
        assert abs(found.bias) < 100

    def test_scores_that_run_the_wrong_way_are_refused(self):
        logits = np.array([2.0, 1.5, 0.1, -1.0, -1.5, 0.2])
        labels = np.array([False, False, True, True, True, False])
        with pytest.raises(CalibrationImpossible, match="no higher than real ones"):
            temperature.fit(logits, labels, np.ones(6))


class TestHold:
    """A threshold that was chosen on clips alone."""

    def test_one_that_calls_too_many_of_some_length_is_raised_until_it_does_not(self):
        real = videos(400)
        clips = [float(Pooled.of(video[None, :8]).at(0.0)[0]) for video in real]
        held = hold(real, float(np.quantile(clips, 0.95)), 0.05, penalty=0.05, streams=1000)
        assert held.threshold > np.quantile(clips, 0.95)
        margin = 1.645 * np.sqrt(0.05 * 0.95 * 2 / 1000)  # other streams of the same videos
        assert max(held.rates.values()) <= 1.5 * 0.05 + margin

    def test_one_that_holds_is_kept(self):
        real = videos(40, scene=0.1, noise=0.1)
        held = hold(real, 0.0, 0.05, penalty=0.35, streams=50)
        assert held.threshold == 0.0
        assert held.rates == dict.fromkeys(LENGTHS, 0.0)
