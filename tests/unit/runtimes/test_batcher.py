import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fimq.errors import ModelInvalid
from fimq_worker.batcher import Batcher


class CountingRuntime:
    """Scores a crop by its first pixel, remembers the sizes of batches, refuses level 13."""

    name, version, precision = "counting", "1", "f32"

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.entered, self.gate = threading.Event(), threading.Event()
        self.gate.set()

    def score(self, crops):
        self.entered.set()
        self.gate.wait(10)
        self.batches.append(len(crops))
        levels = crops[:, 0, 0, 0].astype(np.float32)
        if (levels == 13).any():
            raise ModelInvalid("thirteen")
        return np.stack([levels, 255 - levels], axis=1)


def crops(*levels: int) -> np.ndarray:
    return np.tile(np.array(levels, np.uint8)[:, None, None, None], (1, 4, 4, 3))


@pytest.fixture
def runtime() -> CountingRuntime:
    return CountingRuntime()


def wait_for(condition) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


class TestBatcher:
    def test_a_lone_caller_gets_its_scores_at_once(self, runtime):
        with Batcher(runtime, patience=60) as batcher, batcher.slot():
            assert batcher.score(crops(3, 1, 2))[:, 0].tolist() == [3, 1, 2]

    def test_callers_share_a_batch_when_nobody_else_could_add(self, runtime):
        with Batcher(runtime, patience=60) as batcher, ThreadPoolExecutor(3) as pool:
            with batcher.slot(), batcher.slot(), batcher.slot():
                answers = list(pool.map(lambda n: batcher.score(crops(n))[0, 0], range(3)))
            assert answers == [0, 1, 2]
        assert runtime.batches == [3]

    def test_a_full_batch_does_not_wait(self, runtime):
        with Batcher(runtime, largest=4, patience=60) as batcher, batcher.slot(), batcher.slot():
            assert len(batcher.score(crops(1, 2, 3, 4))) == 4

    def test_nobody_waits_longer_than_the_patience(self, runtime):
        with Batcher(runtime, patience=0.01) as batcher, batcher.slot(), batcher.slot():
            assert batcher.score(crops(5))[0, 0] == 5

    def test_a_slot_that_ends_lets_the_others_go(self, runtime):
        with Batcher(runtime, patience=60) as batcher, batcher.slot(), ThreadPoolExecutor() as pool:
            with batcher.slot():
                answer = pool.submit(batcher.score, crops(7))
                wait_for(lambda: batcher._waiting)
                assert not answer.done()
            assert answer.result(10)[0, 0] == 7

    def test_many_crops_are_split_and_put_together_again(self, runtime):
        with Batcher(runtime, largest=8) as batcher:
            assert batcher.score(crops(*range(20, 40)))[:, 0].tolist() == list(range(20, 40))
        assert max(runtime.batches) == 8

    def test_no_crops_are_no_scores(self, runtime):
        with Batcher(runtime) as batcher:
            assert batcher.score(crops(1)[:0]).shape == (0, 2)

    def test_a_failing_batch_fails_only_those_in_it(self, runtime):
        with Batcher(runtime) as batcher:
            with pytest.raises(ModelInvalid, match="thirteen"):
                batcher.score(crops(1, 13))
            assert batcher.score(crops(2))[0, 0] == 2

    def test_a_failure_in_a_later_part_fails_the_whole_order(self, runtime):
        with Batcher(runtime, largest=2) as batcher:
            with pytest.raises(ModelInvalid):
                batcher.score(crops(1, 2, 13, 3, 4, 5))
            assert batcher.score(crops(9))[0, 0] == 9

    def test_crops_of_two_sizes_fail_and_the_batcher_lives_on(self, runtime):
        with Batcher(runtime, patience=60) as batcher, ThreadPoolExecutor(2) as pool:
            with batcher.slot(), batcher.slot():
                answers = [
                    pool.submit(batcher.score, crops(1)),
                    pool.submit(batcher.score, crops(1)[:, :2]),
                ]
                for answer in answers:
                    with pytest.raises(ValueError, match="concat"):
                        answer.result(10)
            assert batcher.score(crops(2))[0, 0] == 2

    def test_closing_scores_what_was_handed_in(self, runtime):
        runtime.gate.clear()
        batcher = Batcher(runtime)
        with ThreadPoolExecutor(3) as pool:
            answers = [pool.submit(batcher.score, crops(0))]
            runtime.entered.wait(10)
            answers += [pool.submit(batcher.score, crops(n)) for n in (1, 2)]
            wait_for(lambda: len(batcher._waiting) == 2)
            threading.Timer(0.05, runtime.gate.set).start()
            batcher.close()
            assert [answer.result(10)[0, 0] for answer in answers] == [0, 1, 2]

    def test_a_closed_batcher_takes_nothing(self, runtime):
        batcher = Batcher(runtime)
        batcher.close()
        with pytest.raises(RuntimeError, match="closed"):
            batcher.score(crops(1))

    @settings(deadline=None, max_examples=30)
    @given(
        st.lists(st.lists(st.integers(14, 255), max_size=9), min_size=1, max_size=12),
        st.integers(1, 8),
        st.integers(1, 4),
    )
    def test_everyone_gets_what_it_would_get_alone(self, orders, largest, slots):
        runtime = CountingRuntime()
        with Batcher(runtime, largest=largest) as batcher, ThreadPoolExecutor(slots) as pool:

            def alone_or_not(levels):
                with batcher.slot():
                    return batcher.score(crops(*levels))[:, 0].tolist()

            assert list(pool.map(alone_or_not, orders)) == orders
        assert max(runtime.batches) <= largest
