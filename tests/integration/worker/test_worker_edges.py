"""The edges of a worker: what a step's errors, its loss and a dying thread come to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import update

from fimq.errors import (
    BrokerUnreachable,
    DecoderCrash,
    FimqError,
    FinderMissing,
    GpuFailed,
    GpuLost,
    LedgerUnreachable,
    NotAVideo,
    RuntimeMissing,
    RuntimeNotInstalled,
    StoreUnusable,
    Truncated,
)
from fimq.ledger import completion, presence, reading, submission
from fimq.ledger.clock import now
from fimq.ledger.database import Ledger
from fimq.ledger.states import StepState
from fimq.ledger.submission import Content, Request
from fimq.ledger.sweep import sweep
from fimq.ledger.tables import Job, Step
from fimq.settings import Settings
from fimq_worker.holding import Held, Holding, Stopped
from fimq_worker.measures import Measures
from fimq_worker.reach import Reach
from fimq_worker.steps.runner import StepRunner
from fimq_worker.sweeper import Sweeper
from threads import running

VIDEO = Content("a" * 64, 10, "aa/aa/" + "a" * 64, "clip.mp4")


class Bell:
    """A doorbell that keeps what was rung for."""

    def __init__(self) -> None:
        self.rung: list[str] = []

    def ring(self, step_id: str, lane: str) -> None:  # noqa: ARG002 - the signature is the Protocol's
        self.rung.append(step_id)

    def waiting(self, lane: str) -> int:  # noqa: ARG002 - the signature is the Protocol's
        return len(self.rung)


class Work:
    """An analyst whose work is a function of the test's."""

    def __init__(self, do: Callable[[Held], Any]) -> None:
        self.do = do

    def plan(self, held: Held) -> list[str]:
        self.do(held)
        return []


class Bench:
    """One worker's parts on a ledger with one job."""

    def __init__(self, ledger: Ledger, tmp_path: Path) -> None:
        self.ledger = ledger
        self.bell = Bell()
        self.settings = Settings(data_dir=tmp_path, state_dir=tmp_path, retry_seconds=0)
        self.measures = Measures()
        self.reach = Reach("redis://here")
        self.ends: list[str] = []
        worker_id = presence.register(ledger, lanes=["standard"], slots=1, facts={})
        self.holding = Holding(ledger, worker_id, lease=30)
        made = submission.submit(ledger, VIDEO, Request())
        assert made.step_id
        self.job_id, self.step_id = made.job_id, made.step_id

    def run(self, do: Callable[[Held], Any]) -> Step:
        analyst: Any = Work(do)
        runner = StepRunner(
            self.settings,
            self.ledger,
            self.bell,
            self.holding,
            analyst,
            measures=self.measures,
            reach=self.reach,
            end_process=lambda: self.ends.append(self.step_id),
        )
        runner.run(self.step_id)
        # Once more: a worker that is to end claims nothing.
        if self.ends:
            runner.run(self.step_id)
        with self.ledger.read() as session:
            return session.get_one(Step, self.step_id)

    def job(self) -> Job:
        with self.ledger.read() as session:
            return session.get_one(Job, self.job_id)


@pytest.fixture
def bench(ledger: Ledger, tmp_path: Path) -> Bench:
    return Bench(ledger, tmp_path)


def raising(error: BaseException) -> Callable[[Held], None]:
    def do(_: Held) -> None:
        raise error

    return do


class TestStep:
    @pytest.mark.parametrize("error", [Truncated(), NotAVideo()])
    def test_what_lies_in_the_content_is_tried_once(self, bench: Bench, error: FimqError) -> None:
        assert bench.run(raising(error)).executions == 1
        assert (bench.job().state, bench.job().error_code) == ("failed", error.code)

    @pytest.mark.parametrize("error", [DecoderCrash(), ZeroDivisionError()])
    def test_what_may_pass_is_tried_again_and_not_for_ever(
        self, bench: Bench, error: Exception
    ) -> None:
        assert bench.run(raising(error)).state == StepState.READY
        bench.run(raising(error))
        assert bench.job().state == "running"
        bench.run(raising(error))
        assert bench.job().state == "failed"

    def test_a_service_that_is_away_is_not_held_against_the_video_early(self, bench: Bench) -> None:
        for losses in range(1, bench.settings.max_losses):
            step = bench.run(raising(StoreUnusable()))
            assert (step.state, step.executions, step.losses) == (StepState.READY, 0, losses)
        bench.run(raising(StoreUnusable()))
        assert (bench.job().state, bench.job().error_code) == ("failed", "store_unusable")

    def test_a_gpu_that_failed_is_tried_again_by_this_worker(self, bench: Bench) -> None:
        step = bench.run(raising(GpuFailed()))
        assert (step.state, step.executions, step.losses) == (StepState.READY, 0, 1)
        assert bench.ends == []

    def test_a_gpu_that_is_lost_ends_the_worker_and_the_step_waits_for_another(
        self, bench: Bench
    ) -> None:
        step = bench.run(raising(GpuLost()))
        assert (step.state, step.executions, step.losses) == (StepState.READY, 0, 1)
        assert bench.ends == [bench.step_id]

    @pytest.mark.parametrize("error", [RuntimeNotInstalled(), RuntimeMissing(), FinderMissing()])
    def test_a_machine_that_cannot_judge_ends_its_worker_and_the_step_waits_for_another(
        self, bench: Bench, error: FimqError
    ) -> None:
        step = bench.run(raising(error))
        assert (step.state, step.executions, step.losses) == (StepState.READY, 0, 1)
        assert bench.job().state == "running"
        assert bench.ends == [bench.step_id]

    @pytest.mark.parametrize(("private", "state"), [(True, "failed"), (False, "running")])
    def test_a_runtime_that_one_jobs_own_model_lacks_ends_no_worker(
        self, bench: Bench, *, private: bool, state: str
    ) -> None:
        """Another machine may have it; a private worker is the only one there is."""
        if not private:
            elsewhere = {"broker_url": SecretStr("redis://elsewhere")}
            bench.settings = bench.settings.model_copy(update=elsewhere)
        bench.settings = bench.settings.model_copy(update={"model": "not-the-jobs"})
        bench.run(raising(RuntimeMissing()))
        assert bench.ends == []
        assert bench.job().state == state

    def test_a_ledger_that_is_away_leaves_the_step_to_its_lease(self, bench: Bench) -> None:
        step = bench.run(raising(LedgerUnreachable()))
        assert (step.state, step.executions) == (StepState.CLAIMED, 0)
        assert bench.holding.busy() == 0

    def test_a_loss_that_no_heartbeat_brought_yet_is_let_go_and_not_given_back(
        self, bench: Bench
    ) -> None:
        def cancelled_meanwhile(held: Held) -> None:
            completion.cancel(bench.ledger, held.claim.job_id)
            raise Stopped

        step = bench.run(cancelled_meanwhile)
        assert step.state == StepState.CANCELLED
        with bench.ledger.read() as session:
            assert reading.held_steps(session, bench.job_id) == 0
        assert bench.bell.rung == []

    def test_a_worker_that_stops_gives_back_and_rings(self, bench: Bench) -> None:
        step = bench.run(raising(Stopped()))
        assert (step.state, step.executions, step.losses) == (StepState.READY, 0, 0)
        assert bench.bell.rung == [bench.step_id]


class TestHolding:
    def test_a_step_that_came_back_stays_held_when_its_old_work_ends(self, bench: Bench) -> None:
        old = bench.holding.take(bench.step_id)
        assert old
        with bench.ledger.write() as session:
            session.execute(update(Step).values(lease_until=now(-1)))
        sweep(bench.ledger, max_losses=10, ring_after=60)
        again = bench.holding.take(bench.step_id)
        assert again
        bench.holding.beat()
        assert (old.lost, again.lost) == (True, False)
        bench.holding.drop(old)
        assert bench.holding.busy() == 1

    def test_the_heartbeat_outlives_an_error_that_it_does_not_know(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        beats = []
        twice = threading.Event()

        def beat() -> None:
            beats.append(1)
            if len(beats) > 1:
                twice.set()
            raise ZeroDivisionError

        holding = Holding(bench.ledger, bench.holding.worker_id, lease=0.3)
        monkeypatch.setattr(holding, "beat", beat)
        with running(holding):
            assert twice.wait(10)


class TestSweeper:
    def test_a_long_queue_does_not_grow_while_nobody_works(self, bench: Bench) -> None:
        for _ in range(4):
            submission.submit(bench.ledger, VIDEO, Request())
        settings = bench.settings.model_copy(update={"ring_seconds": 0.001})
        sweeper = Sweeper(bench.ledger, bench.bell, settings, bench.measures, bench.reach)
        for _ in range(5):
            sweeper.once()
            time.sleep(0.002)
        assert len(set(bench.bell.rung)) == len(bench.bell.rung) == 5
        lost = bench.bell.rung.pop()
        time.sleep(0.002)
        sweeper.once()
        assert len(bench.bell.rung) == 5, f"nobody was told again after {lost} was lost"

    def test_leases_run_out_though_the_queue_is_away(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away(_: str) -> int:
            raise BrokerUnreachable

        assert bench.holding.take(bench.step_id)
        with bench.ledger.write() as session:
            session.execute(update(Step).values(lease_until=now(-1)))
        monkeypatch.setattr(bench.bell, "waiting", away)
        with pytest.raises(BrokerUnreachable):
            Sweeper(bench.ledger, bench.bell, bench.settings, bench.measures, bench.reach).once()
        with bench.ledger.read() as session:
            step = session.get_one(Step, bench.step_id)
        assert (step.state, step.rung_at) == (StepState.READY, None)

    @pytest.mark.parametrize("error", [BrokerUnreachable(), ZeroDivisionError()])
    def test_it_outlives_its_errors(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        swept = []
        twice = threading.Event()

        def once() -> int:
            swept.append(1)
            if len(swept) > 1:
                twice.set()
            raise error

        settings = bench.settings.model_copy(update={"sweep_seconds": 0.1})
        sweeper = Sweeper(bench.ledger, bench.bell, settings, bench.measures, bench.reach)
        monkeypatch.setattr(sweeper, "once", once)
        with running(sweeper):
            assert twice.wait(10)
