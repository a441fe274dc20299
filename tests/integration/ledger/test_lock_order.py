"""The order of locks on PostgreSQL, one transaction at a time: who waits for whom, and who never.

Somebody else holds a row; the actor is watched by the server's own eyes until it waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import psycopg
import pytest

from fimq.cuts import CutReport
from fimq.errors import Truncated
from fimq.ledger import claims, completion, cutting, deletion, presence, submission
from fimq.ledger.claims import Claim
from fimq.ledger.database import Ledger
from fimq.ledger.sweep import sweep
from fimq.ledger.tables import Job, Step
from fimq_worker.holding import Holding
from installation import until
from scenes import (
    REQUEST,
    all_of,
    content,
    expire,
    planned,
    rows,
    step_of,
    submitted,
    taken,
    verdict,
)
from services.postgres import PostgresServer

Actor = Callable[[Ledger, Claim], Any]

#: Everybody who needs a job and its steps.
ENDERS: dict[str, Actor] = {
    "complete_plan": lambda ledger, held: completion.complete_plan(
        ledger, held, spans=[{}], samples=1
    ),
    "complete_segment": lambda ledger, held: completion.complete_segment(ledger, held, rows(0)),
    "complete_cut": lambda ledger, held: cutting.complete_cut(
        ledger, held, CutReport("k", "s", 1, 1, 1, "h264", still=False, fimq="0")
    ),
    "complete_job": lambda ledger, held: completion.complete_job(ledger, held, verdict),
    "fail_step": lambda ledger, held: completion.fail_step(
        ledger, held, Truncated(), final=True, executions=3, wait=0
    ),
    "record_plan": lambda ledger, held: claims.record_plan(ledger, held, {}, 1, package_sha256="m"),
    "cancel": lambda ledger, held: completion.cancel(ledger, held.job_id),
}


@pytest.fixture
def ledger(postgres: PostgresServer) -> Iterator[Ledger]:
    name = postgres.migrated_database()
    opened = Ledger(postgres.url(name), pool_size=8)
    yield opened
    opened.close()
    postgres.drop_database(name)


class Other:
    """Another session, which holds rows as long as the test wants."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def lock_content(self, sha256: str) -> None:
        self.connection.execute("SELECT pg_advisory_xact_lock(%s)", (int(sha256[-15:], 16),))

    def lock(self, table: str, row: str) -> None:
        """Hold a row, or fail at once if somebody has it."""
        self.connection.execute(
            f"SELECT FROM {table} WHERE id = %s FOR NO KEY UPDATE NOWAIT".encode(), (row,)
        )

    def waiters(self) -> int:
        """Sessions that wait for this one."""
        row = self.connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))"
        ).fetchone()
        assert row
        return int(row[0])


@pytest.fixture
def other(postgres: PostgresServer, ledger: Ledger) -> Iterator[Other]:
    with psycopg.connect(postgres.url(str(ledger.url.database))) as connection:
        yield Other(connection)


@contextmanager
def waiting(other: Other, act: Callable[[], Any]) -> Iterator[None]:
    """Inside, the actor waits for `other`, who lets go in the end."""
    thread = threading.Thread(target=act)
    thread.start()
    try:
        until(other.waiters, "the actor to wait", seconds=10)
        yield
    finally:
        other.connection.rollback()
        thread.join()


@pytest.mark.parametrize("actor", ENDERS)
def test_who_ends_a_step_waits_for_the_job_before_it_touches_the_step(
    ledger: Ledger, other: Other, actor: str
) -> None:
    held = taken(ledger, submitted(ledger)[1])
    other.lock("jobs", held.job_id)
    with waiting(other, lambda: ENDERS[actor](ledger, held)):
        # A ring would need the actor to hold this one.
        other.lock("steps", held.step_id)


@pytest.mark.parametrize("actor", ["record_plan", "delete", "submit"])
def test_who_needs_the_video_waits_for_it_before_it_touches_the_job(
    ledger: Ledger, other: Other, actor: str
) -> None:
    held = taken(ledger, submitted(ledger)[1])
    if actor == "delete":
        completion.cancel(ledger, held.job_id)
    (video,) = [row.video_id for row in all_of(ledger, Job)]
    other.lock("videos", video)
    act = {
        "record_plan": lambda: claims.record_plan(ledger, held, {}, 1, package_sha256="m"),
        "delete": lambda: deletion.delete(ledger, held.job_id, remove=lambda _: None),
        "submit": lambda: submission.submit(ledger, content(0), REQUEST),
    }[actor]
    with waiting(other, act):
        other.lock("jobs", held.job_id)
        other.lock("steps", held.step_id)


@pytest.mark.parametrize("actor", ["delete", "submit"])
def test_who_decides_about_bytes_waits_for_them_before_it_touches_the_video(
    ledger: Ledger, other: Other, actor: str
) -> None:
    held = taken(ledger, submitted(ledger)[1])
    completion.cancel(ledger, held.job_id)
    (video,) = [row.video_id for row in all_of(ledger, Job)]
    other.lock_content(content(0).sha256)
    act = {
        "delete": lambda: deletion.delete(ledger, held.job_id, remove=lambda _: None),
        "submit": lambda: submission.submit(ledger, content(0), REQUEST),
    }[actor]
    with waiting(other, act):
        other.lock("videos", video)


class TestNobodyWaits:
    """The statement timeout of a minute would end these tests, were it not so."""

    def test_to_claim_a_step_that_another_looks_at(self, ledger: Ledger, other: Other) -> None:
        _, step = submitted(ledger)
        other.lock("steps", step)
        assert claims.claim(ledger, step, "w", 30) is None
        other.connection.rollback()
        assert all_of(ledger, Job)[0].state == "queued"
        assert claims.claim(ledger, step, "w", 30)

    def test_to_claim_the_plan_of_a_job_that_another_ends(
        self, ledger: Ledger, other: Other
    ) -> None:
        job, step = submitted(ledger)
        other.lock("jobs", job)
        assert claims.claim(ledger, step, "w", 30) is None

    def test_to_claim_a_segment_while_another_one_is_written(
        self, ledger: Ledger, other: Other
    ) -> None:
        held = planned(ledger, segments=2)
        claims.give_back(ledger, held[0])
        other.lock("jobs", held[0].job_id)
        other.lock("steps", held[1].step_id)
        assert claims.claim(ledger, held[0].step_id, "w", 30)

    def test_to_sweep(self, ledger: Ledger, other: Other) -> None:
        locked, lost, doomed = (planned(ledger, number, segments=1)[0] for number in range(3))
        expire(ledger, locked, lost, doomed)
        with ledger.write() as session:
            session.get_one(Step, doomed.step_id).losses = 9
        other.lock("steps", locked.step_id)
        other.lock("jobs", doomed.job_id)
        swept = sweep(ledger, max_losses=10, ring_after=60)
        assert (swept.ring, swept.lost, swept.failed) == ([(lost.step_id, "standard")], 1, 0)
        other.connection.rollback()
        swept = sweep(ledger, max_losses=10, ring_after=60)
        assert (swept.ring, swept.lost, swept.failed) == ([(locked.step_id, "standard")], 2, 1)


def test_a_beat_extends_what_is_free_before_it_waits(ledger: Ledger, other: Other) -> None:
    held = planned(ledger, segments=3)
    expire(ledger, *held)
    before = _leases(ledger, held)
    other.lock("steps", held[1].step_id)
    gone: list[Claim] = []
    with waiting(other, lambda: gone.extend(claims.beat(ledger, "w", held, 30))):
        extended = _leases(ledger, held)
        assert [new > old for old, new in zip(before, extended, strict=True)] == [True, False, True]
    assert gone == []
    assert _leases(ledger, held)[1] > before[1]


def test_a_beat_extends_leases_though_the_workers_are_locked(ledger: Ledger, other: Other) -> None:
    """As by an upgrade that adds a column to them."""
    worker = presence.register(ledger, lanes=["standard"], slots=1, facts={})
    holding = Holding(ledger, worker, lease=30, lanes=["standard"], slots=1)
    held = holding.take(submitted(ledger)[1])
    assert held
    expire(ledger, held.claim)
    (before,) = _leases(ledger, [held.claim])
    other.connection.execute("LOCK TABLE workers IN ACCESS EXCLUSIVE MODE")
    with waiting(other, holding.beat):
        assert _leases(ledger, [held.claim])[0] > before


def test_a_beat_that_waits_for_a_step_holds_no_other(ledger: Ledger, other: Other) -> None:
    """Who fails a step has that one when it ends the job, and then takes the rest by id."""
    first, _, last = held = planned(ledger, segments=3)
    other.lock("steps", last.step_id)
    other.connection.execute("SAVEPOINT last_alone")
    other.lock("steps", first.step_id)
    with waiting(other, lambda: claims.beat(ledger, "w", held, 30)):
        other.connection.execute("ROLLBACK TO last_alone")
        until(other.waiters, "the beat to wait for the last step", seconds=10)
        other.lock("steps", first.step_id)


def _leases(ledger: Ledger, held: list[Claim]) -> list[datetime]:
    steps = [step_of(ledger, claim.step_id) for claim in held]
    return [step.lease_until for step in steps if step.lease_until]


def test_an_old_claim_does_not_extend_the_lease_of_a_new_one(ledger: Ledger) -> None:
    old = taken(ledger, submitted(ledger)[1])
    expire(ledger, old)
    sweep(ledger, max_losses=10, ring_after=60)
    new = taken(ledger, old.step_id)
    assert claims.beat(ledger, "w", [old, new], 30) == [old]
    expire(ledger, new)
    assert claims.beat(ledger, "w", [old], 30) == [old]
    assert sweep(ledger, max_losses=10, ring_after=60).lost == 1
