"""The history: which epoch was the best, and when to stop."""

import pytest

from fimq_training.fitting.history import Epoch, History


def history(*losses):
    return History(
        Epoch(number, number * 10, 0.1, 0.5, 0.5, loss, 0.5)
        for number, loss in enumerate(losses, start=1)
    )


@pytest.mark.parametrize(
    ("losses", "best"),
    [
        ((0.5, 0.2, 0.3), 2),
        ((0.5, 0.0, 0.3), 2),  # a loss of nothing is the least there is
        ((0.2, 0.2), 1),
        ((None, None), 2),
    ],
)
def test_the_best_epoch_has_the_least_validation_loss(losses, best):
    assert history(*losses).best.epoch == best


def test_nothing_is_the_best_of_nothing():
    assert history().best is None


def test_patience_counts_from_the_best():
    assert history(0.0, 0.1, 0.1).is_over(2)
    assert not history(0.1, 0.0, 0.1).is_over(2)
    assert not history(None, None, None).is_over(1)
