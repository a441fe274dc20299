"""Claims: how a worker gets a step, keeps it, and ends it, so that one worker wins.

A claim is named by (step, fence); the fence grows with each claim, so that a worker that
lost its step changes nothing when it comes late. Transactions are short, and lock in the
order of the room `locks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CursorResult, Update, select, tuple_, update
from sqlalchemy.orm import Session

from fimq.ledger.clock import now
from fimq.ledger.database import Ledger
from fimq.ledger.locks import lock_job, lock_steps, lock_video
from fimq.ledger.states import JobState, StepState
from fimq.ledger.tables import Job, Step, Video
from fimq.ledger.texts import storable_document


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
    package_sha256: str | None  #: of the model, once its plan is made
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


def oldest_waiting(ledger: Ledger, step_id: str, *, limit: int) -> list[str]:
    """The steps of this one's lane that may be claimed now, those of the oldest job first.

    A message says that its lane has work; which work is next is the ledger's to say. Else
    the segments of a long video, and what a lost worker held, would wait behind every video
    that was submitted meanwhile.
    """
    lane = select(Step.lane).where(Step.id == step_id).scalar_subquery()
    with ledger.read() as session:
        return list(
            session.scalars(
                select(Step.id)
                .where(Step.lane == lane, Step.state == StepState.READY, Step.not_before <= now())
                # Ids of jobs sort by the time of their submission.
                .order_by(Step.job_id, Step.ordinal)
                .limit(limit)
            )
        )


def claim(ledger: Ledger, step_id: str, worker_id: str, lease: float) -> Claim | None:
    """Take a ready step for `lease` seconds, or None when there is nothing to take.

    Nobody waits: a step that is held, ended, cancelled, not yet due, or being decided about
    by another gives None, and the caller drops its doorbell.
    """
    with ledger.write() as session:
        ready = Step.id == step_id, Step.state == StepState.READY, Step.not_before <= now()
        found = session.execute(
            select(Job.id, Job.state).join(Step, Step.job_id == Job.id).where(*ready)
        ).one_or_none()
        if found is None or (found.state == JobState.QUEUED and not _start(session, found.id)):
            return None
        if not lock_steps(session, *ready, wait=False):
            # A sweep looks at it, and will ring. The job did not start.
            session.rollback()
            return None
        session.execute(
            update(Step)
            .where(Step.id == step_id)
            .values(
                state=StepState.CLAIMED,
                fence=Step.fence + 1,
                worker_id=worker_id,
                lease_until=now(lease),
                progress=0,
            )
        )
        step = session.get_one(Step, step_id)
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
            package_sha256=job.package_sha256,
            policy=job.policy,
            sha256=video.sha256,
            bytes=video.bytes,
            store_key=video.store_key,
            name=job.name,
            tenant=job.tenant,
        )


def _start(session: Session, job_id: str) -> bool:
    """Let a queued job run. False: another decides about it at this moment, or has."""
    return lock_job(session, job_id, wait=False) and bool(
        changed(
            session,
            update(Job)
            .where(Job.id == job_id, Job.state == JobState.QUEUED)
            .values(state=JobState.RUNNING, started_at=now()),
        )
    )


def beat(ledger: Ledger, worker_id: str, held: Sequence[Claim], lease: float) -> list[Claim]:
    """Extend the leases of `held`; return the claims that this worker no longer has.

    What is free is extended first. What another transaction has locked (the end of a long
    video takes seconds) is waited for afterwards, so that it costs no other step its lease;
    one by one, for the other may wait in its turn for a step that we would hold meanwhile.
    """
    rest = {(claim.step_id, claim.fence) for claim in held}
    rest -= _extend(ledger, worker_id, rest, lease, wait=False)
    for one in sorted(rest):
        rest -= _extend(ledger, worker_id, {one}, lease, wait=True)
    return [claim for claim in held if (claim.step_id, claim.fence) in rest]


def _extend(
    ledger: Ledger, worker_id: str, which: set[tuple[str, int]], lease: float, *, wait: bool
) -> set[tuple[str, int]]:
    """Extend the leases of (step, fence) in one transaction; return those extended."""
    if not which:
        return set()
    with ledger.write() as session:
        kept = lock_steps(
            session,
            tuple_(Step.id, Step.fence).in_(sorted(which)),
            Step.worker_id == worker_id,
            Step.state == StepState.CLAIMED,
            wait=wait,
        )
        if kept:
            session.execute(
                update(Step)
                .where(tuple_(Step.id, Step.fence).in_(sorted(kept)))
                .values(lease_until=now(lease))
            )
        return kept


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


def record_plan(
    ledger: Ledger, held: Claim, probe: dict[str, Any], samples: int, *, package_sha256: str | None
) -> bool:
    """Write what the probe found, how many samples are planned, and the model that judges, if any.

    Every segment is judged by that model, whatever is promoted meanwhile. A plan that is made
    again may choose another: nothing was judged yet. False: the claim was lost.

    The probe's texts come from the video's metadata; what no database can ask through is
    replaced.
    """
    with ledger.write() as session:
        video_id = session.scalar(select(Job.video_id).where(Job.id == held.job_id))
        if video_id is None:
            return False
        lock_video(session, video_id)
        lock_job(session, held.job_id)
        if not lock_steps(session, *held_by(held)):
            return False
        session.execute(
            update(Job)
            .where(Job.id == held.job_id)
            .values(samples_planned=samples, package_sha256=package_sha256)
        )
        session.execute(
            update(Video).where(Video.id == video_id).values(probe=storable_document(probe))
        )
        return True
