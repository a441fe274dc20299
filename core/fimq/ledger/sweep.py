"""The sweep: what makes lost doorbells and lost workers harmless.

Any worker runs it; two at once do no harm, for every UPDATE names the state it changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, or_, select, update

from fimq.errors import WorkerLost
from fimq.ledger.claims import changed
from fimq.ledger.clock import now
from fimq.ledger.completion import end_job
from fimq.ledger.database import Ledger
from fimq.ledger.locks import lock_job
from fimq.ledger.states import JobState, StepState
from fimq.ledger.tables import Step

#: A step whose worker did not beat for a whole lease.
_EXPIRED = (Step.state == StepState.CLAIMED, Step.lease_until < now())


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep found: steps to ring for as (step id, lane), and what it gave up."""

    ring: list[tuple[str, str]]
    lost: int  #: leases that had run out
    failed: int  #: jobs ended `worker_lost`


def sweep(
    ledger: Ledger,
    *,
    max_losses: int,
    ring_after: float,
    waiting: Mapping[str, int] | None = None,
    limit: int = 500,
) -> Swept:
    """Free steps whose lease ran out, and name ready steps that nobody was told of lately.

    A step is not rung for while its lane has a message for each ready step: those who wait
    behind others would be rung for again and again, and the queue would grow without end.

    Args:
        ledger: the ledger.
        max_losses: lost workers after which a step's job fails.
        ring_after: seconds after which a ready step is rung for again.
        waiting: messages of each lane that no worker has taken; none where it is not said.
        limit: rows looked at in one go.
    """
    failed = _give_up(ledger, max_losses, limit)
    with ledger.write() as session:
        # Steps of whom others hold the lock are looked at next time: a sweep never waits.
        expired = (
            select(Step.id)
            .where(*_EXPIRED, Step.losses + 1 < max_losses)
            .limit(limit)
            .with_for_update(key_share=True, skip_locked=True)
        )
        freed = session.scalars(expired).all()
        if freed:
            session.execute(
                update(Step)
                .where(Step.id.in_(freed))
                .values(
                    state=StepState.READY,
                    losses=Step.losses + 1,
                    worker_id=None,
                    lease_until=None,
                    rung_at=None,
                    progress=0,
                )
            )
        due = Step.state == StepState.READY, Step.not_before <= now()
        ready = session.execute(
            select(Step.lane, func.count()).where(*due).group_by(Step.lane)
        ).all()
        ring: list[tuple[str, str]] = []
        for lane, count in ready:
            missing = min(limit, count - (waiting or {}).get(lane, 0))
            silent = session.scalars(
                select(Step.id)
                .where(
                    *due,
                    Step.lane == lane,
                    or_(Step.rung_at.is_(None), Step.rung_at < now(-ring_after)),
                )
                .order_by(Step.rung_at.is_not(None), Step.rung_at, Step.id)
                .limit(max(0, missing))
                .with_for_update(key_share=True, skip_locked=True)
            )
            ring += [(step_id, lane) for step_id in silent]
        if ring:
            session.execute(
                update(Step)
                .where(Step.id.in_([step_id for step_id, _ in ring]))
                .values(rung_at=now())
            )
    return Swept(ring, len(freed) + failed, failed)


def _give_up(ledger: Ledger, max_losses: int, limit: int) -> int:
    """End the jobs whose step was lost too often, each in a transaction of its own."""
    with ledger.read() as session:
        doomed = session.execute(
            select(Step.id, Step.job_id)
            .where(*_EXPIRED, Step.losses + 1 >= max_losses)
            .limit(limit)
        ).all()
    facts = {"error_code": WorkerLost.code, "error_detail": WorkerLost.default_message()}
    failed = 0
    for step_id, job_id in doomed:
        with ledger.write() as session:
            if lock_job(session, job_id, wait=False) and changed(
                session,
                update(Step)
                .where(Step.id == step_id, *_EXPIRED, Step.losses + 1 >= max_losses)
                .values(state=StepState.FAILED, losses=Step.losses + 1, lease_until=None, **facts),
            ):
                failed += end_job(session, job_id, JobState.FAILED, **facts)
    return failed
