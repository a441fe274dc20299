"""Claims: how a worker gets a step, keeps it, and ends it, so that one worker wins.

Every function is one short transaction. A claim is named by (step, fence); the fence grows
with each claim, so that a worker that lost its step changes nothing when it comes late.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CursorResult, Update, insert, select, update
from sqlalchemy.orm import Session

from fimq.errors import FimqError
from fimq.identifiers import new_id
from fimq.ledger.clock import now
from fimq.ledger.database import Ledger
from fimq.ledger.states import (
    JobState,
    StepKind,
    StepState,
    job_sources,
    step_sources,
)
from fimq.ledger.tables import Event, Face, Job, Sample, Step, Track, VerdictRow, Video


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


def _held(step: Claim) -> tuple[Any, ...]:
    return (Step.id == step.step_id, Step.fence == step.fence, Step.state == StepState.CLAIMED)


def report_progress(ledger: Ledger, held: Claim, done: int) -> bool:
    """Say how many samples of a step are done. False: the claim was lost."""
    with ledger.write() as session:
        return bool(changed(session, update(Step).where(*_held(held)).values(progress=done)))


def give_back(ledger: Ledger, held: Claim) -> bool:
    """Return a step unharmed: no execution and no loss is counted. False: it was lost."""
    with ledger.write() as session:
        return bool(
            changed(
                session,
                update(Step)
                .where(*_held(held))
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
        if session.scalar(select(Step.id).where(*_held(held))) is None:
            return False
        job = session.get_one(Job, held.job_id)
        job.samples_planned = samples
        session.execute(update(Video).where(Video.id == job.video_id).values(probe=probe))
        return True


def complete_plan(
    ledger: Ledger, held: Claim, *, spans: list[dict[str, Any]], samples: int
) -> list[str] | None:
    """End the plan of a long video: its segments become steps.

    Returns the ids of the new steps, to be rung for, or None if the claim was lost.
    """
    with ledger.write() as session:
        if not _end_step(session, held, StepState.DONE):
            return None
        steps = [
            Step(
                id=new_id(),
                tenant=held.tenant,
                job_id=held.job_id,
                kind=StepKind.SEGMENT,
                ordinal=ordinal,
                lane=held.lane,
                payload=span,
                rung_at=now(),
            )
            for ordinal, span in enumerate(spans)
        ]
        session.add_all(steps)
        session.execute(
            update(Job)
            .where(Job.id == held.job_id)
            .values(segments=len(spans), segments_left=len(spans), samples_planned=samples)
        )
        session.flush()
        return [step.id for step in steps]


@dataclass(frozen=True, slots=True)
class SegmentRows:
    """What the analysis of one span of a video found, as rows."""

    samples: list[dict[str, Any]]
    faces: list[dict[str, Any]]
    report: dict[str, Any]


def complete_segment(ledger: Ledger, held: Claim, rows: SegmentRows) -> tuple[bool, str | None]:
    """Write a segment's rows and end its step, or do nothing if the claim was lost.

    One transaction: rows, step, counter, and the finish step when this was the last
    segment. Returns (written, id of the finish step if it was just made).
    """
    with ledger.write() as session:
        if not _end_step(session, held, StepState.DONE, report=rows.report):
            return False, None
        _write_rows(session, held, rows)
        session.execute(
            update(Job)
            .where(Job.id == held.job_id)
            .values(
                segments_left=Job.segments_left - 1,
                samples_done=Job.samples_done + len(rows.samples),
            )
        )
        left = session.scalar(select(Job.segments_left).where(Job.id == held.job_id))
        if left != 0:
            return True, None
        step = Step(
            id=new_id(),
            tenant=held.tenant,
            job_id=held.job_id,
            kind=StepKind.FINISH,
            lane=held.lane,
            rung_at=now(),
        )
        session.add(step)
        session.flush()
        return True, step.id


#: Reads a job's rows in the transaction that ends it, and returns the columns of its
#: verdict, the rows of its tracks, and the track of each (frame_index, ordinal).
Judge = Callable[
    [Session, str],
    tuple[dict[str, Any], list[dict[str, Any]], dict[tuple[int, int], int]],
]


def complete_job(
    ledger: Ledger,
    held: Claim,
    judge: Judge,
    *,
    rows: SegmentRows | None = None,
    samples: int | None = None,
) -> bool:
    """End a job with its verdict, or do nothing if the claim was lost.

    One transaction: for a video of one segment its rows, then tracks, verdict, event and
    the job's state. `judge` computes the verdict from the rows as written.
    """
    with ledger.write() as session:
        if not _end_step(session, held, StepState.DONE, report=rows.report if rows else None):
            return False
        if rows is not None:
            _write_rows(session, held, rows)
            session.execute(
                update(Job)
                .where(Job.id == held.job_id)
                .values(
                    segments=1,
                    segments_left=0,
                    samples_planned=samples,
                    samples_done=len(rows.samples),
                )
            )
        session.flush()
        verdict, tracks, assigned = judge(session, held.job_id)
        for (frame_index, ordinal), track in assigned.items():
            session.execute(
                update(Face)
                .where(
                    Face.job_id == held.job_id,
                    Face.frame_index == frame_index,
                    Face.ordinal == ordinal,
                )
                .values(track=track)
            )
        own = {"job_id": held.job_id, "tenant": held.tenant}
        session.add_all(Track(**own, **track) for track in tracks)
        session.add(VerdictRow(**own, **verdict))
        return end_job(session, held.job_id, JobState.DONE)


def fail_step(
    ledger: Ledger, held: Claim, error: FimqError, *, final: bool, executions: int, wait: float
) -> StepState | None:
    """Count an error against a step: run it again later, or fail its job.

    Returns the step's new state (READY or FAILED), or None if the claim was lost.

    Args:
        ledger: where the step is.
        held: the claim that met the error.
        error: what was met.
        final: the content itself is at fault, so that another try is useless.
        executions: errors after which the job fails.
        wait: seconds before the step is ready again.
    """
    with ledger.write() as session:
        step = session.scalar(select(Step).where(*_held(held)))
        if step is None:
            return None
        spent = step.executions + 1
        failed = final or spent >= executions
        facts = {"error_code": error.code, "error_detail": error.message}
        step.executions = spent
        session.flush()
        if failed:
            _end_step(session, held, StepState.FAILED, **facts)
            end_job(session, held.job_id, JobState.FAILED, **facts)
            return StepState.FAILED
        session.execute(
            update(Step)
            .where(*_held(held))
            .values(
                state=StepState.READY,
                worker_id=None,
                lease_until=None,
                not_before=now(wait),
                rung_at=None,
                progress=0,
                **facts,
            )
        )
        return StepState.READY


def cancel(ledger: Ledger, job_id: str) -> bool:
    """Cancel a job that has not ended. A worker that holds its steps learns by its beat.

    Returns False when the job had ended already.
    """
    with ledger.write() as session:
        return end_job(session, job_id, JobState.CANCELLED)


def end_job(session: Session, job_id: str, state: JobState, **facts: Any) -> bool:
    """Bring a job to its end: state, its open steps, and its one event. False: it had ended."""
    ended = changed(
        session,
        update(Job)
        .where(Job.id == job_id, Job.state.in_(job_sources(state)))
        .values(state=state, ended_at=now(), **facts),
    )
    if not ended:
        return False
    session.execute(
        update(Step)
        .where(Step.job_id == job_id, Step.state.in_(step_sources(StepState.CANCELLED)))
        .values(state=StepState.CANCELLED)
    )
    tenant = session.scalar(select(Job.tenant).where(Job.id == job_id))
    session.add(Event(id=new_id(), tenant=tenant, job_id=job_id, kind=f"job.{state}"))
    session.flush()
    return True


def _end_step(session: Session, held: Claim, state: StepState, **facts: Any) -> bool:
    return bool(
        changed(
            session,
            update(Step).where(*_held(held)).values(state=state, lease_until=None, **facts),
        )
    )


def _write_rows(session: Session, held: Claim, rows: SegmentRows) -> None:
    own = {"job_id": held.job_id, "tenant": held.tenant}
    if rows.samples:
        session.execute(insert(Sample), [{**own, **row} for row in rows.samples])
    if rows.faces:
        session.execute(insert(Face), [{**own, **row} for row in rows.faces])
