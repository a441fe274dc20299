import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fimq_training.fitting.draws import Draws

POOLS = st.lists(st.tuples(st.integers(1, 60), st.floats(0.01, 1)), min_size=1, max_size=14)


@given(POOLS, st.integers(1, 40), st.integers(0, 3))
def test_every_step_is_full_and_every_pool_keeps_its_share(pools, count, seed):
    sizes, shares = zip(*pools, strict=True)
    draws = Draws(sizes, shares, count=count, seed=seed)
    taken = np.zeros(len(sizes))
    for step in range(12):
        rows = draws.rows(step)
        assert sum(map(len, rows)) == count
        for part, size in zip(rows, sizes, strict=True):
            assert ((part >= 0) & (part < size)).all()
        taken += [len(part) for part in rows]
        wanted = (step + 1) * count * np.array(shares) / sum(shares)
        assert np.abs(taken - wanted).max() < len(sizes) + 1


@given(POOLS, st.integers(1, 40))
def test_a_pool_is_gone_through_before_any_row_comes_again(pools, count):
    sizes, shares = zip(*pools, strict=True)
    draws = Draws(sizes, shares, count=count, seed=1)
    steps = [draws.rows(step) for step in range(12)]
    for number, size in enumerate(sizes):
        walked = np.concatenate([rows[number] for rows in steps])
        for start in range(0, len(walked) - size + 1, size):
            assert sorted(walked[start : start + size]) == list(range(size))


def test_a_step_is_the_same_whoever_asks_first():
    pools = ((9, 7, 30), (0.3, 0.1, 0.6))
    walked = Draws(*pools, count=5, seed=2)
    in_order = [walked.rows(step) for step in range(20)]
    late = Draws(*pools, count=5, seed=2).rows(19)
    assert all(np.array_equal(a, b) for a, b in zip(in_order[19], late, strict=True))


def test_the_shares_of_the_house_recipe_on_all_of_faceforensics():
    shares = [0.6 / 6] * 6 + [0.4 / 3] * 3
    draws = Draws([1000] * 9, shares, count=32, seed=1)
    counts = np.sum([[len(part) for part in draws.rows(step)] for step in range(300)], axis=0)
    assert counts / 9600 == pytest.approx(shares, abs=0.001)
