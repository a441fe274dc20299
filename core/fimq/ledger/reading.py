"""Reading: questions that people and programs ask of the ledger. Nothing here writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from fimq.cuts import CutReport
from fimq.errors import JobAmbiguous, JobNotFound
from fimq.identifiers import id_range, short
from fimq.ledger import cutting
from fimq.ledger.clock import now
from fimq.ledger.states import JOB_ENDED, JobState, StepKind, StepState
from fimq.ledger.tables import Face, Job, Sample, Step, Track, VerdictRow, Video


def find_job(session: Session, wanted: str) -> Job:
    """The job whose id begins with `wanted`, or the newest one of that file name.

    Raises:
        JobNotFound: there is none.
        JobAmbiguous: several ids begin so; the message lists them.
    """
    if bounds := id_range(wanted.lower().strip()):
        found = session.scalars(
            select(Job).where(Job.id.between(*bounds)).order_by(Job.id).limit(5)
        ).all()
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(short(job.id) for job in found)
            raise JobAmbiguous(f"{wanted} begins more than one job: {names}")
    named = session.scalar(
        select(Job)
        # Not LIKE, which is blind to case on SQLite alone.
        .where((Job.name == wanted) | (func.substr(Job.name, 1, len(wanted) + 1) == wanted + "."))
        .order_by(Job.id.desc())
        .limit(1)
    )
    if named is None:
        raise JobNotFound(f"there is no job {wanted}")
    return named


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is."""

    job_id: str
    state: JobState
    samples_planned: int  #: 0 until the plan is made
    samples_done: int

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in JOB_ENDED


def progress(session: Session, job_ids: Sequence[str]) -> dict[str, Progress]:
    """How far these jobs are; steps in work count by what they reported."""
    in_work = dict(
        session.execute(
            select(Step.job_id, func.sum(Step.progress))
            .where(Step.job_id.in_(job_ids), Step.state == StepState.CLAIMED)
            .group_by(Step.job_id)
        ).all()
    )
    rows = session.execute(
        select(Job.id, Job.state, Job.samples_planned, Job.samples_done).where(Job.id.in_(job_ids))
    )
    return {
        job_id: Progress(job_id, JobState(state), planned, done + int(in_work.get(job_id) or 0))
        for job_id, state, planned, done in rows
    }


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of a list of jobs."""

    job_id: str
    name: str
    state: str
    lane: str
    outcome: str | None
    reason: str | None
    score: float | None
    crops: int | None  #: of a job that cuts them and judges nothing, once it is done
    error_code: str | None
    created_at: datetime
    ended_at: datetime | None


def list_jobs(
    session: Session, *, state: str | None = None, code: str | None = None, limit: int | None = 50
) -> list[Listed]:
    """Jobs, newest first; all of them where `limit` is None."""
    where: list[ColumnElement[bool]] = []
    if state is not None:
        where.append(Job.state == state)
    if code is not None:
        where.append(Job.error_code == code)
    rows = session.execute(
        select(Job, VerdictRow, Step.report)
        .outerjoin(VerdictRow, VerdictRow.job_id == Job.id)
        .outerjoin(Step, and_(Step.job_id == Job.id, Step.kind == StepKind.CUT))
        .where(*where)
        .order_by(Job.id.desc())
        .limit(limit)
    ).all()
    return [
        Listed(
            job_id=job.id,
            name=job.name,
            state=job.state,
            lane=job.lane,
            outcome=verdict.outcome if verdict else None,
            reason=verdict.reason if verdict else None,
            score=verdict.score if verdict else None,
            crops=cut["crops"] if cut else None,
            error_code=job.error_code,
            created_at=job.created_at,
            ended_at=job.ended_at,
        )
        for job, verdict, cut in rows
    ]


def failures(session: Session, *, code: str | None = None) -> dict[str, int]:
    """Failed jobs by error code, the most frequent first."""
    count = func.count().label("count")
    rows = session.execute(
        select(Job.error_code, count)
        .where(Job.state == JobState.FAILED, *([Job.error_code == code] if code else []))
        .group_by(Job.error_code)
        .order_by(count.desc(), Job.error_code)
    )
    return {code or "?": count for code, count in rows}


@dataclass(frozen=True, slots=True)
class JobRecord:
    """Everything the ledger holds of one job's verdict, for `show` and for JSON."""

    job: Job
    video: Video
    verdict: VerdictRow | None
    tracks: list[Track]  #: those with the highest scores, at most `MOST_TRACKS`
    cut: CutReport | None = None  #: what came of it, where it cuts crops


#: Tracks that a job's document names; a crowd has thousands.
MOST_TRACKS = 20


def record(session: Session, job_id: str) -> JobRecord:
    """A job with its video and verdict.

    Raises:
        JobNotFound: there is none.
    """
    job = session.get(Job, job_id)
    if job is None:
        raise JobNotFound(f"there is no job {job_id}")
    tracks = session.scalars(
        select(Track)
        .where(Track.job_id == _source(session, job_id), Track.score.is_not(None))
        .order_by(Track.score.desc(), Track.ordinal)
        .limit(MOST_TRACKS)
    ).all()
    return JobRecord(
        job,
        session.get_one(Video, job.video_id),
        session.get(VerdictRow, job_id),
        list(tracks),
        cutting.report_of(session, job_id) if job.cuts else None,
    )


def _source(session: Session, job_id: str) -> str:
    """The job that holds the evidence: another one where its verdict was reused."""
    verdict = session.get(VerdictRow, job_id)
    return verdict.reused_from if verdict is not None and verdict.reused_from else job_id


def evidence_of(session: Session, job_id: str) -> tuple[list[Sample], list[Face], list[Track]]:
    """Samples, faces and tracks behind a verdict; those of its origin where it was reused."""
    source = _source(session, job_id)
    samples = session.scalars(
        select(Sample).where(Sample.job_id == source).order_by(Sample.frame_index)
    ).all()
    faces = session.scalars(
        select(Face).where(Face.job_id == source).order_by(Face.frame_index, Face.ordinal)
    ).all()
    tracks = session.scalars(
        select(Track).where(Track.job_id == source).order_by(Track.ordinal)
    ).all()
    return list(samples), list(faces), list(tracks)


def open_steps(session: Session) -> int:
    """Steps that are still to be done."""
    return (
        session.scalar(
            select(func.count())
            .select_from(Step)
            .where(Step.state.in_([StepState.READY, StepState.CLAIMED]))
        )
        or 0
    )


def queue_counts(session: Session) -> dict[tuple[str, str], int]:
    """Jobs by (lane, state)."""
    rows = session.execute(select(Job.lane, Job.state, func.count()).group_by(Job.lane, Job.state))
    return {(lane, state): count for lane, state, count in rows}


def held_steps(session: Session, job_id: str) -> int:
    """Steps of a job that a worker still works on, though the job may have been cancelled."""
    return (
        session.scalar(
            select(func.count())
            .select_from(Step)
            .where(
                Step.job_id == job_id,
                Step.state.in_([StepState.CLAIMED, StepState.CANCELLED]),
                Step.worker_id.is_not(None),
                Step.lease_until > now(),
            )
        )
        or 0
    )


def retryable(session: Session, *, code: str | None = None) -> list[str]:
    """Failed jobs that were not retried yet, oldest first; none that cuts crops."""
    cuts = select(Step.id).where(Step.job_id == Job.id, Step.kind == StepKind.CUT).exists()
    where = [Job.state == JobState.FAILED, Job.superseded_by.is_(None), ~cuts]
    if code is not None:
        where.append(Job.error_code == code)
    return list(session.scalars(select(Job.id).where(*where).order_by(Job.id)))
