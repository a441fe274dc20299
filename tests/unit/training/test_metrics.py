import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from extras import need

need("tensorflow", extra="training")

from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from fimq_training.evaluation import metrics
from fimq_training.evaluation.bootstrap import interval, wilson


@st.composite
def judged(draw):
    """Labels of both kinds, and scores with ties among them."""
    count = draw(st.integers(2, 60))
    labels = draw(arrays.arrays(np.bool_, count))
    labels[:2] = [True, False]
    steps = draw(st.sampled_from([4, 1000]))
    scores = draw(arrays.arrays(np.int64, count, elements=st.integers(0, steps))) / steps
    return labels, scores


class TestEqualToScikitLearn:
    @given(judged())
    def test_auc_ap_brier_and_log_loss(self, given_):
        labels, scores = given_
        assert metrics.roc_auc(labels, scores) == pytest.approx(
            sk.roc_auc_score(labels, scores), abs=1e-9
        )
        assert metrics.average_precision(labels, scores) == pytest.approx(
            sk.average_precision_score(labels, scores), abs=1e-9
        )
        assert metrics.brier(labels, scores) == pytest.approx(
            sk.brier_score_loss(labels, scores), abs=1e-9
        )
        inside = np.clip(scores, 0.01, 0.99)
        assert metrics.log_loss(labels, inside) == pytest.approx(
            sk.log_loss(labels, inside), abs=1e-9
        )

    @given(judged())
    def test_the_curve(self, given_):
        labels, scores = given_
        mine = metrics.roc(labels, scores)
        false, true, thresholds = sk.roc_curve(labels, scores, drop_intermediate=False)
        assert np.allclose(mine.false_positives, false, atol=1e-12)
        assert np.allclose(mine.true_positives, true, atol=1e-12)
        assert np.array_equal(mine.thresholds, thresholds)

    @given(judged())
    def test_the_confusion(self, given_):
        labels, scores = given_
        said = scores > 0.5
        mine = metrics.confusion(labels.astype(np.int64), said.astype(np.int64), 2)
        assert np.array_equal(mine, sk.confusion_matrix(labels, said, labels=[False, True]))

    @given(judged())
    def test_the_bins_of_reliability(self, given_):
        labels, scores = given_
        scores = np.clip(scores, 0, 0.999) * 0.99 + 0.003  # off the edges of the bins
        mine = metrics.reliability(labels, scores, bins=7)
        share, score = calibration_curve(labels, scores, n_bins=7)
        assert np.allclose(mine.share, share, atol=1e-9)
        assert np.allclose(mine.score, score, atol=1e-9)
        assert mine.count.sum() == len(labels)


def test_the_expected_calibration_error_of_a_sure_liar_is_one():
    labels = np.array([True, False, True])
    assert metrics.reliability(labels, (~labels).astype(float)).error == 1
    assert metrics.reliability(labels, labels.astype(float)).error == 0


class TestEqualError:
    def test_it_lies_where_both_errors_are_equal(self):
        labels = np.repeat([True, False], 10)
        scores = np.array([*np.linspace(0.35, 1, 10), *np.linspace(0, 0.65, 10)])
        curve = metrics.roc(labels, scores)
        misses = 1 - curve.true_positives
        near = int(np.argmin(np.abs(curve.false_positives - misses)))
        assert curve.equal_error == pytest.approx(
            (curve.false_positives[near] + misses[near]) / 2, abs=0.05
        )

    @given(judged())
    def test_it_is_a_rate(self, given_):
        assert 0 <= metrics.roc(*given_).equal_error <= 1

    def test_who_knows_all_makes_none_and_who_knows_nothing_half(self):
        labels = np.array([True, False] * 20)
        assert metrics.roc(labels, labels.astype(float)).equal_error == 0
        assert metrics.roc(labels, np.full(40, 0.5)).equal_error == 0.5


class TestThresholds:
    @given(
        arrays.arrays(np.float64, st.integers(1, 50), elements=st.floats(0, 1)),
        st.sampled_from([0.0, 0.01, 0.05, 0.1, 0.5, 1.0]),
    )
    def test_no_more_than_allowed_are_called_and_one_lower_would_call_more(self, reals, rate):
        threshold = metrics.threshold_at(reals, rate)
        called = metrics.rate_at(reals, threshold)
        assert called <= rate + 1e-12
        lower = reals[reals < threshold]
        if len(lower):
            assert metrics.rate_at(reals, float(lower.max())) > rate - 1e-12

    def test_precision_falls_with_prevalence(self):
        at = [metrics.precision_expected(0.5, 0.01, p) for p in (0.1, 0.01, 0.001)]
        assert at[0] == pytest.approx(0.05 / 0.059)
        assert at == sorted(at, reverse=True)

    def test_one_class_alone_has_no_curve(self):
        labels = np.ones(3, bool)
        assert np.isnan(metrics.roc_auc(labels, np.array([0.1, 0.2, 0.3])))
        assert np.isnan(metrics.average_precision(~labels, np.array([0.1, 0.2, 0.3])))


class TestIntervals:
    def test_people_are_drawn_not_pictures(self):
        rng = np.random.default_rng(0)
        of_people = rng.normal(0, 1, 20)
        values = np.repeat(of_people, 50) + rng.normal(0, 0.01, 1000)
        by_person = interval(
            lambda rows: float(values[rows].mean()), [str(n // 50) for n in range(1000)], draws=400
        )
        by_picture = interval(
            lambda rows: float(values[rows].mean()), [str(n) for n in range(1000)], draws=400
        )
        assert by_person.high - by_person.low > 4 * (by_picture.high - by_picture.low)
        assert by_person.low < by_person.value < by_person.high
        wanted = 2 * 1.96 * of_people.std() / np.sqrt(20)
        assert by_person.high - by_person.low == pytest.approx(wanted, rel=0.25)

    def test_wilsons_interval_is_the_published_one(self):
        # Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I.
        assert wilson(81, 263).low == pytest.approx(0.2553, abs=5e-5)
        assert wilson(81, 263).high == pytest.approx(0.3662, abs=5e-5)
        assert wilson(0, 20).low == 0
        for count in range(1, 200):
            assert wilson(0, count).low == 0
            assert wilson(count, count).high == 1
        assert wilson(0, 20).high == pytest.approx(0.1611, abs=5e-5)

    @given(st.lists(st.booleans(), min_size=2, max_size=9), st.integers(1, 4))
    def test_a_value_is_inside_its_interval_however_few_the_draws(self, hits, draws):
        found = interval(
            lambda rows: float(np.mean(np.array(hits)[rows])),
            list(map(str, range(len(hits)))),
            draws=draws,
        )
        assert found.low <= found.value <= found.high
