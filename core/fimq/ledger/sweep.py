"""The sweep: what makes lost doorbells and lost workers harmless.

Any worker runs it; two at once do no harm, for every UPDATE names the state it changes.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import or_, select, update

from fimq.errors import WorkerLost
from fimq.ledger.claims import changed, end_job
from fimq.ledger.clock import now
from fimq.ledger.database import Ledger
from fimq.ledger.states import JobState, StepState
from fimq.ledger.tables import Step


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep found: steps to ring for as (step id, lane), and what it gave up."""

    ring: list[tuple[str, str]]
    lost: int  #: leases that had run out
    failed: int  #: jobs ended `worker_lost`


def sweep(ledger: Ledger, *, max_losses: int, ring_after: float, limit: int = 500) -> Swept:
    """Free steps whose lease ran out, and name ready steps that nobody was told of lately.

    Args:
        ledger: the ledger.
        max_losses: lost workers after which a step's job fails.
        ring_after: seconds after which a ready step is rung for again.
        limit: rows looked at in one go.
    """
    lost = failed = 0
    with ledger.write() as session:
        expired = session.execute(
            select(Step.id, Step.job_id, Step.fence, Step.losses)
            .where(Step.state == StepState.CLAIMED, Step.lease_until < now())
            .limit(limit)
            .with_for_update(skip_locked=True)
        ).all()
        for step_id, job_id, fence, losses in expired:
            gone = Step.id == step_id, Step.fence == fence, Step.state == StepState.CLAIMED
            if losses + 1 >= max_losses:
                facts = {
                    "error_code": WorkerLost.code,
                    "error_detail": WorkerLost.default_message(),
                }
                counted = {"losses": losses + 1, "lease_until": None, **facts}
                if changed(
                    session, update(Step).where(*gone).values(state=StepState.FAILED, **counted)
                ):
                    failed += end_job(session, job_id, JobState.FAILED, **facts)
                    lost += 1
                continue
            lost += changed(
                session,
                update(Step)
                .where(*gone)
                .values(
                    state=StepState.READY,
                    losses=losses + 1,
                    worker_id=None,
                    lease_until=None,
                    rung_at=None,
                    progress=0,
                ),
            )
        silent = session.execute(
            select(Step.id, Step.lane)
            .where(
                Step.state == StepState.READY,
                Step.not_before <= now(),
                or_(Step.rung_at.is_(None), Step.rung_at < now(-ring_after)),
            )
            .order_by(Step.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        ).all()
        ring = [(step_id, lane) for step_id, lane in silent]
        if ring:
            session.execute(
                update(Step)
                .where(Step.id.in_([step_id for step_id, _ in ring]))
                .values(rung_at=now())
            )
    return Swept(ring, lost, failed)
