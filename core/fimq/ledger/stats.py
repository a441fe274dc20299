"""Stats: what an operator asks every morning, as one object; `/metrics` asks the same.

Every figure is the ledger's own, so that it is the same whoever asks. What would read every
job ever made is left out, or bounded by a window of time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from fimq.ledger import presence
from fimq.ledger.clock import now
from fimq.ledger.presence import WorkerState
from fimq.ledger.states import JOB_ENDED, JOB_OPEN, STEP_OPEN, JobState, StepState
from fimq.ledger.tables import Job, Step, VerdictRow, Video


@dataclass(frozen=True, slots=True)
class LaneStats:
    """One lane: what waits, and what ended within the window."""

    lane: str
    queued: int
    running: int
    oldest_s: float | None  #: age of the oldest job that has not ended
    steps_ready: int
    steps_claimed: int
    done: int
    failed: int
    cancelled: int


@dataclass(frozen=True, slots=True)
class Stats:
    """The installation now, and what it did in the last `window_s` seconds."""

    window_s: float
    lanes: list[LaneStats]
    outcomes: dict[str, int]  #: of verdicts of the window, `not_applicable` by its reason
    failures: dict[str, int]  #: jobs that failed in the window, by code
    video_s: float  #: length of the videos that were judged in the window
    workers: dict[str, int]  #: by state; those that stopped are left out
    slots: int  #: of the workers that are alive

    @property
    def no_face_rate(self) -> float | None:
        """Share of the window's verdicts that had no face to judge; None without any."""
        verdicts = sum(self.outcomes.values())
        return self.outcomes.get("no_face", 0) / verdicts if verdicts else None


def stats(session: Session, *, lanes: tuple[str, ...], window: float, silent: float) -> Stats:
    """Ask the ledger.

    Args:
        session: where to ask.
        lanes: the lanes to tell of, in their order; others follow if they have jobs.
        window: seconds back to which ended jobs are counted.
        silent: seconds without a beat after which a worker is silent.
    """
    present = presence.workers(session, within=silent)
    return Stats(
        window_s=window,
        lanes=_lanes(session, lanes, window),
        outcomes=_outcomes(session, window),
        failures=_failures(session, window),
        video_s=_video_seconds(session, window),
        workers=_counted(worker.state for worker in present if worker.state != WorkerState.STOPPED),
        slots=sum(worker.slots for worker in present if worker.state.alive),
    )


def _lanes(session: Session, lanes: tuple[str, ...], window: float) -> list[LaneStats]:
    waiting = _table(
        session,
        select(Job.lane, Job.state, func.count())
        .where(Job.state.in_(JOB_OPEN))
        .group_by(Job.lane, Job.state),
    )
    ended = _table(
        session,
        select(Job.lane, Job.state, func.count())
        .where(Job.state.in_(JOB_ENDED), Job.ended_at > now(-window))
        .group_by(Job.lane, Job.state),
    )
    steps = _table(
        session,
        select(Step.lane, Step.state, func.count())
        .where(Step.state.in_(STEP_OPEN))
        .group_by(Step.lane, Step.state),
    )
    oldest = {
        lane: max(0.0, (at - created).total_seconds())
        for lane, created, at in session.execute(
            select(Job.lane, func.min(Job.created_at), now())
            .where(Job.state.in_(JOB_OPEN))
            .group_by(Job.lane)
        )
    }
    others = {lane for lane, _ in (*waiting, *ended, *steps)} - set(lanes)
    return [
        LaneStats(
            lane=lane,
            queued=waiting.get((lane, JobState.QUEUED), 0),
            running=waiting.get((lane, JobState.RUNNING), 0),
            oldest_s=oldest.get(lane),
            steps_ready=steps.get((lane, StepState.READY), 0),
            steps_claimed=steps.get((lane, StepState.CLAIMED), 0),
            done=ended.get((lane, JobState.DONE), 0),
            failed=ended.get((lane, JobState.FAILED), 0),
            cancelled=ended.get((lane, JobState.CANCELLED), 0),
        )
        for lane in (*lanes, *sorted(others))
    ]


def _outcomes(session: Session, window: float) -> dict[str, int]:
    rows = session.execute(
        select(VerdictRow.outcome, VerdictRow.reason, func.count())
        .join(Job, Job.id == VerdictRow.job_id)
        .where(Job.ended_at > now(-window))
        .group_by(VerdictRow.outcome, VerdictRow.reason)
    )
    counted: Counter[str] = Counter()
    for outcome, reason, count in rows:
        counted[reason if outcome == "not_applicable" and reason else outcome] += count
    return dict(counted)


def _failures(session: Session, window: float) -> dict[str, int]:
    rows = session.execute(
        select(Job.error_code, func.count())
        .where(Job.state == JobState.FAILED, Job.ended_at > now(-window))
        .group_by(Job.error_code)
    )
    return {code or "?": count for code, count in rows}


def _video_seconds(session: Session, window: float) -> float:
    """Length of what was really judged: a verdict that was known already cost nothing."""
    return float(
        session.scalar(
            select(func.sum(Video.probe["duration_s"].as_float()))
            .join(Job, Job.video_id == Video.id)
            .join(VerdictRow, VerdictRow.job_id == Job.id)
            .where(Job.ended_at > now(-window), VerdictRow.reused_from.is_(None))
        )
        or 0.0
    )


def _table(session: Session, query: Select[str, str, int]) -> dict[tuple[str, str], int]:
    return {(lane, state): count for lane, state, count in session.execute(query)}


def _counted(states: Iterable[WorkerState]) -> dict[str, int]:
    return dict(Counter(str(state) for state in states))
