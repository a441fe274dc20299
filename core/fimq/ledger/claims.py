"""Claims: how a worker gets a step, keeps it, and ends it, so that one worker wins.

Every function is one short transaction. A claim is named by (step, fence); the fence grows
with each claim, so that a worker that lost its step changes nothing when it comes late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CursorResult, Update, select, update
from sqlalchemy.orm import Session

from fimq.ledger.clock import now
from fimq.ledger.database import Ledger
from fimq.ledger.states import (
    JobState,
    StepState,
)
from fimq.ledger.tables import Job, Step, Video


@dataclass(frozen=True, slots=True)
class Claim:
    """A step that this worker holds, and what it needs to know to run it."""

    step_id: str
    fence: int
    job_id: str
    kind: str
    ordinal: int
    lane: str
    payload: dict[str, Any]
    options: dict[str, Any]
    model: str
    policy: str
    sha256: str
    bytes: int
    store_key: str
    name: str
    tenant: str


def changed(session: Session, statement: Update) -> int:
    """Run an UPDATE and return how many rows it changed."""
    result = session.execute(statement)
    assert isinstance(result, CursorResult)  # noqa: S101 - what SQLAlchemy returns for an UPDATE
    return int(result.rowcount)


def claim(ledger: Ledger, step_id: str, worker_id: str, lease: float) -> Claim | None:
    """Take a ready step for `lease` seconds, or None when there is nothing to take.

    Nobody waits: a step that is held, ended, cancelled or not yet due gives None, and the
    caller drops its doorbell.
    """
    with ledger.write() as session:
        taken = changed(
            session,
            update(Step)
            .where(Step.id == step_id, Step.state == StepState.READY, Step.not_before <= now())
            .values(
                state=StepState.CLAIMED,
                fence=Step.fence + 1,
                worker_id=worker_id,
                lease_until=now(lease),
                progress=0,
            ),
        )
        if not taken:
            return None
        step = session.get_one(Step, step_id)
        session.execute(
            update(Job)
            .where(Job.id == step.job_id, Job.state == JobState.QUEUED)
            .values(state=JobState.RUNNING, started_at=now())
        )
        job = session.get_one(Job, step.job_id)
        video = session.get_one(Video, job.video_id)
        return Claim(
            step_id=step.id,
            fence=step.fence,
            job_id=job.id,
            kind=step.kind,
            ordinal=step.ordinal,
            lane=step.lane,
            payload=step.payload,
            options=job.options,
            model=job.model,
            policy=job.policy,
            sha256=video.sha256,
            bytes=video.bytes,
            store_key=video.store_key,
            name=job.name,
            tenant=job.tenant,
        )


def beat(ledger: Ledger, worker_id: str, held: Sequence[Claim], lease: float) -> list[Claim]:
    """Extend the leases of `held`; return the claims that this worker no longer has."""
    if not held:
        return []
    with ledger.write() as session:
        mine = Step.worker_id == worker_id, Step.state == StepState.CLAIMED
        kept = {
            (step_id, fence)
            for step_id, fence in session.execute(
                select(Step.id, Step.fence).where(
                    Step.id.in_({claim.step_id for claim in held}), *mine
                )
            )
        } & {(claim.step_id, claim.fence) for claim in held}
        if kept:
            session.execute(
                update(Step)
                .where(Step.id.in_([step_id for step_id, _ in kept]), *mine)
                .values(lease_until=now(lease))
            )
    return [claim for claim in held if (claim.step_id, claim.fence) not in kept]


def held_by(step: Claim) -> tuple[Any, ...]:
    """The condition under which a step is still held by this claim."""
    return (Step.id == step.step_id, Step.fence == step.fence, Step.state == StepState.CLAIMED)


def report_progress(ledger: Ledger, held: Claim, done: int) -> bool:
    """Say how many samples of a step are done. False: the claim was lost."""
    with ledger.write() as session:
        return bool(changed(session, update(Step).where(*held_by(held)).values(progress=done)))


def give_back(ledger: Ledger, held: Claim) -> bool:
    """Return a step unharmed: no execution and no loss is counted. False: it was lost."""
    with ledger.write() as session:
        return bool(
            changed(
                session,
                update(Step)
                .where(*held_by(held))
                .values(
                    state=StepState.READY,
                    worker_id=None,
                    lease_until=None,
                    rung_at=None,
                    not_before=now(),
                    progress=0,
                ),
            )
        )


def let_go(ledger: Ledger, held: Claim) -> None:
    """Say that a cancelled step is no longer worked on."""
    with ledger.write() as session:
        session.execute(
            update(Step)
            .where(
                Step.id == held.step_id,
                Step.fence == held.fence,
                Step.state == StepState.CANCELLED,
            )
            .values(worker_id=None, lease_until=None)
        )


def record_plan(ledger: Ledger, held: Claim, probe: dict[str, Any], samples: int) -> bool:
    """Write what the probe found and how many samples are planned. False: the claim was lost."""
    with ledger.write() as session:
        if session.scalar(select(Step.id).where(*held_by(held))) is None:
            return False
        job = session.get_one(Job, held.job_id)
        job.samples_planned = samples
        session.execute(update(Video).where(Video.id == job.video_id).values(probe=probe))
        return True
