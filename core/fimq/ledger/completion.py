"""Completion: how steps and jobs end, each in one transaction that the holder alone can write.

Rows, step, counter, verdict, event and state go together or not at all. Every function is
conditional on its claim: a worker that lost its step changes nothing when it comes late.
Each locks the job before its step, as the room `locks` has it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from fimq.errors import FimqError, ServiceError
from fimq.identifiers import new_id
from fimq.ledger.claims import Claim, changed, held_by
from fimq.ledger.clock import now
from fimq.ledger.database import Ledger
from fimq.ledger.locks import lock_job, lock_steps
from fimq.ledger.states import JobState, StepKind, StepState, job_sources, step_sources
from fimq.ledger.tables import Event, Face, Job, Sample, Step, Track, VerdictRow
from fimq.ledger.texts import storable

#: Between two tries of a step that lacks a service.
_LONGEST_WAIT_S = 60.0


def complete_plan(
    ledger: Ledger, held: Claim, *, spans: list[dict[str, Any]], samples: int
) -> list[str] | None:
    """End the plan of a long video: its segments become steps.

    Returns the ids of the new steps, to be rung for, or None if the claim was lost.
    """
    with ledger.write() as session:
        lock_job(session, held.job_id)
        if not end_step(session, held, StepState.DONE):
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
        lock_job(session, held.job_id)
        if not end_step(session, held, StepState.DONE, report=rows.report):
            return False, None
        _write_rows(session, held, rows)
        left = session.scalar(
            update(Job)
            .where(Job.id == held.job_id)
            .values(
                segments_left=Job.segments_left - 1,
                samples_done=Job.samples_done + len(rows.samples),
            )
            .returning(Job.segments_left)
        )
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
        lock_job(session, held.job_id)
        if not end_step(session, held, StepState.DONE, report=rows.report if rows else None):
            return False
        if rows is not None:
            _write_rows(session, held, rows)
            cover_at_once(session, held, planned=samples, done=len(rows.samples))
        session.flush()
        verdict, tracks, assigned = judge(session, held.job_id)
        if assigned:
            session.execute(
                update(Face),
                [
                    {
                        "job_id": held.job_id,
                        "frame_index": frame_index,
                        "ordinal": ordinal,
                        "track": track,
                    }
                    for (frame_index, ordinal), track in assigned.items()
                ],
            )
        own = {"job_id": held.job_id, "tenant": held.tenant}
        session.add_all(Track(**own, **track) for track in tracks)
        session.add(VerdictRow(**own, **verdict))
        return end_job(session, held.job_id, JobState.DONE)


def fail_step(
    ledger: Ledger,
    held: Claim,
    error: FimqError,
    *,
    final: bool,
    executions: int,
    wait: float,
    losses: int = 10,
) -> StepState | None:
    """Count an error against a step: run it again later, or fail its job.

    A service that is away is no fault of the video: it counts as a lost worker does, and each
    wait for it is twice the one before, up to a minute.

    Returns the step's new state (READY or FAILED), or None if the claim was lost.

    Args:
        ledger: where the step is.
        held: the claim that met the error.
        error: what was met.
        final: the content itself is at fault, so that another try is useless.
        executions: errors after which the job fails.
        wait: seconds before the step is ready again.
        losses: missing services and lost workers after which the job fails.
    """
    service = isinstance(error, ServiceError)
    counter, most = (Step.losses, losses) if service else (Step.executions, executions)
    with ledger.write() as session:
        lock_job(session, held.job_id)
        spent = session.scalar(
            update(Step).where(*held_by(held)).values({counter: counter + 1}).returning(counter)
        )
        if spent is None:
            return None
        failed = final or spent >= most
        if service:
            wait = min(wait * 2 ** (spent - 1), max(wait, _LONGEST_WAIT_S))
        facts = {"error_code": error.code, "error_detail": storable(error.message)}
        if failed:
            end_step(session, held, StepState.FAILED, **facts)
            end_job(session, held.job_id, JobState.FAILED, **facts)
            return StepState.FAILED
        session.execute(
            update(Step)
            .where(*held_by(held))
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
    still_open = Step.job_id == job_id, Step.state.in_(step_sources(StepState.CANCELLED))
    lock_steps(session, *still_open)
    session.execute(update(Step).where(*still_open).values(state=StepState.CANCELLED))
    tenant = session.scalar(select(Job.tenant).where(Job.id == job_id))
    session.add(Event(id=new_id(), tenant=tenant, job_id=job_id, kind=f"job.{state}"))
    session.flush()
    return True


def end_step(session: Session, held: Claim, state: StepState, **facts: Any) -> bool:
    """Bring a claimed step to its end. False: the claim was lost."""
    return bool(
        changed(
            session,
            update(Step).where(*held_by(held)).values(state=state, lease_until=None, **facts),
        )
    )


def cover_at_once(session: Session, held: Claim, *, planned: int | None, done: int) -> None:
    """Write that one step did the whole video, with so many samples."""
    session.execute(
        update(Job)
        .where(Job.id == held.job_id)
        .values(segments=1, segments_left=0, samples_planned=planned, samples_done=done)
    )


def _write_rows(session: Session, held: Claim, rows: SegmentRows) -> None:
    own = {"job_id": held.job_id, "tenant": held.tenant}
    if rows.samples:
        session.execute(insert(Sample), [{**own, **row} for row in rows.samples])
    if rows.faces:
        session.execute(insert(Face), [{**own, **row} for row in rows.faces])
