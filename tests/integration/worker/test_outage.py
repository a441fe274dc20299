"""A ledger that is away for a while: work in hand is not lost by it, and nothing counted twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clips import Clip
from fimq.errors import LedgerUnreachable, NotAVideo
from fimq.intake import take_in
from fimq.ledger import claims, completion, presence, submission
from fimq.ledger.database import Ledger
from fimq.ledger.states import StepKind, StepState
from fimq.ledger.submission import Request
from fimq.ledger.tables import Job, Sample, Step
from fimq.settings import Settings
from fimq.store.base import open_store
from fimq_worker.holding import Held, Holding, Stopped
from fimq_worker.measures import Measures
from fimq_worker.reach import Reach
from fimq_worker.steps import analysis, headway
from fimq_worker.steps.analysis import Analyst
from fimq_worker.steps.persistence import Persistence
from fimq_worker.steps.runner import StepRunner
from scenes import all_of, step_of, submitted, taken
from services.postgres import PostgresServer
from tinymodel import write_package


class Bell:
    """A doorbell that keeps what was rung for."""

    def __init__(self) -> None:
        self.rung: list[str] = []

    def ring(self, step_id: str, lane: str) -> None:  # noqa: ARG002 - the signature is the Protocol's
        self.rung.append(step_id)

    def waiting(self, lane: str) -> int:  # noqa: ARG002 - the signature is the Protocol's
        return len(self.rung)


@pytest.fixture(scope="module")
def server(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """A server that may be ended, beside that of the other tests. It keeps its promises."""
    made = PostgresServer.start(durable=True)
    yield made
    made.stop()


@pytest.fixture
def ledger(server: PostgresServer) -> Iterator[Ledger]:
    name = server.migrated_database()
    opened = Ledger(server.url(name))
    yield opened
    opened.close()
    server.drop_database(name)


def holding_of(ledger: Ledger) -> Holding:
    worker = presence.register(ledger, lanes=["archive"], slots=1, facts={})
    return Holding(ledger, worker, lease=30, lanes=["archive"], slots=1)


def test_a_restart_in_the_middle_of_each_step_costs_none_of_them(
    server: PostgresServer,
    ledger: Ledger,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Down at a sample, up when the end of the step could not be written; a real child decodes."""
    write_package(tmp_path / "data" / "models" / "default")
    settings = settings.model_copy(update={"archive_segment_seconds": 1.0})
    store = open_store(settings.store, make=True)
    film = take_in(Clip(frames=100, gop=25).write(tmp_path / "clip.mp4"), store, limit=10**9)
    made = submission.submit(ledger, film, Request(sampling="every:2", lane="archive"))
    assert made.step_id
    refused: list[str] = []

    def down(rows: analysis._Rows, sample: analysis.SampleReply) -> None:
        add(rows, sample)
        if len(rows.samples) == 5:
            server.down()

    def up_again(name: str) -> None:
        write = getattr(completion, name)

        def try_it(*arguments: Any, **named: Any) -> Any:
            try:
                return write(*arguments, **named)
            except LedgerUnreachable:
                refused.append(name)
                server.up()
                raise

        monkeypatch.setattr(completion, name, try_it)

    add = analysis._Rows.add
    monkeypatch.setattr(analysis._Rows, "add", down)
    monkeypatch.setattr(headway, "PROGRESS_S", 0.0)
    up_again("complete_segment")
    bell = Bell()
    holding = holding_of(ledger)
    with Analyst(settings, ledger, store, Measures()) as analyst:
        runner = StepRunner(
            settings,
            ledger,
            bell,
            holding,
            analyst,
            measures=Measures(),
            reach=Reach("redis://here"),
        )
        bell.rung.append(made.step_id)
        for step_id in bell.rung:  # it grows as they are rung for
            runner.run(step_id)

    steps = all_of(ledger, Step)
    segments = [step for step in steps if step.kind == StepKind.SEGMENT]
    assert len(segments) > 1
    assert refused == ["complete_segment"] * len(segments)
    assert {(step.state, step.fence, step.losses, step.executions) for step in steps} == {
        (StepState.DONE, 1, 0, 0)
    }
    assert all_of(ledger, Job)[0].state == "done"
    assert len(all_of(ledger, Sample)) == 50


class Away:
    """A write whose first answers are lost: after it was made, or before."""

    def __init__(self, write: Callable[[], Any], *, times: int, made: bool) -> None:
        self.write = write
        self.left = times
        self.made = made

    def __call__(self) -> Any:
        if not self.left:
            return self.write()
        self.left -= 1
        if self.made:
            self.write()
        raise LedgerUnreachable


class TestPersistence:
    def test_what_was_written_though_its_answer_was_lost_is_there_once(
        self, ledger: Ledger
    ) -> None:
        held = Held(taken(ledger, submitted(ledger)[1]))
        fail = Away(
            lambda: completion.fail_step(
                ledger, held.claim, NotAVideo(), final=False, executions=3, wait=0
            ),
            times=1,
            made=True,
        )
        assert Persistence(30).ask(held, fail) is None
        step = step_of(ledger, held.claim.step_id)
        assert (step.state, step.executions) == (StepState.READY, 1)

    def test_the_runner_counts_no_error_for_a_lost_answer(
        self, ledger: Ledger, settings: Settings
    ) -> None:
        holding = holding_of(ledger)
        job, step_id = submitted(ledger)

        class Planner:
            def plan(self, held: Held) -> list[str]:
                plan = Away(
                    lambda: completion.complete_plan(ledger, held.claim, spans=[{}], samples=1),
                    times=1,
                    made=True,
                )
                steps = Persistence(30).ask(held, plan)
                if steps is None:
                    raise Stopped
                return list(steps)

        analyst: Any = Planner()
        runner = StepRunner(
            settings,
            ledger,
            Bell(),
            holding,
            analyst,
            measures=Measures(),
            reach=Reach("redis://here"),
        )
        runner.run(step_id)
        plan = step_of(ledger, step_id)
        assert (plan.state, plan.fence, plan.losses, plan.executions) == (StepState.DONE, 1, 0, 0)
        segments = all_of(ledger, Step, job_id=job, kind=StepKind.SEGMENT)
        assert [step.state for step in segments] == [StepState.READY]

    def test_it_ends_with_the_lease(self, ledger: Ledger) -> None:
        held = Held(taken(ledger, submitted(ledger)[1]))
        away = Away(lambda: None, times=1000, made=False)
        with pytest.raises(LedgerUnreachable):
            Persistence(0.35).ask(held, away)
        # At once, after .1 and after .2 more.
        assert away.left >= 1000 - 3

    def test_nobody_waits_with_a_claim_that_is_lost(self, ledger: Ledger) -> None:
        held = Held(taken(ledger, submitted(ledger)[1]))
        tries = threading.Semaphore(0)

        def away() -> None:
            tries.release()
            held.lose()
            raise LedgerUnreachable

        with pytest.raises(LedgerUnreachable):
            Persistence(3600).ask(held, away)
        assert tries.acquire(blocking=False)
        assert not tries.acquire(blocking=False)

    def test_a_worker_that_stops_gives_back_when_the_ledger_is_there_again(
        self, ledger: Ledger
    ) -> None:
        held = Held(taken(ledger, submitted(ledger)[1]))
        held.stop()
        give = Away(lambda: claims.give_back(ledger, held.claim), times=2, made=False)
        assert Persistence(30).ask(held, give) is True
        assert step_of(ledger, held.claim.step_id).losses == 0
