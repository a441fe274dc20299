"""Locks: the one order in which rows are locked, so that no two transactions wait in a ring.

    content  <  video  <  job  <  its steps, by id

Who needs several of these takes them in this order, before reading what it decides by.
Whoever has the job may take its own step before the others; so who has no job's lock waits
for one step at a time and holds no other meanwhile, or skips what is locked. On SQLite a writer
holds the whole ledger, and none of this does anything. docs/decisions/0010 says why.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from fimq.ledger.tables import Job, Step, Video


def lock_content(session: Session, sha256: str) -> None:
    """Wait until nobody else decides whether these bytes are kept, for any tenant.

    A lock of its own, for there may be no row yet: who makes the first one and who removes
    the bytes have to meet.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(int(sha256[-15:], 16))))


def lock_video(session: Session, video_id: str) -> None:
    """Wait until nobody else submits to, plans or deletes a job of this video."""
    session.execute(select(Video.id).where(Video.id == video_id).with_for_update(key_share=True))


def lock_job(session: Session, job_id: str, *, wait: bool = True) -> bool:
    """Wait until nobody else ends or counts this job; False: it is gone, or locked if no wait.

    Rows that refer to the job can still be written by others (FOR NO KEY UPDATE).
    """
    return (
        session.scalar(
            select(Job.id)
            .where(Job.id == job_id)
            .with_for_update(key_share=True, skip_locked=not wait)
        )
        is not None
    )


def lock_steps(
    session: Session, *which: ColumnElement[bool], wait: bool = True
) -> set[tuple[str, int]]:
    """Lock steps in the order of their ids; return (id, fence) of those locked.

    Without `wait`, steps that others have locked are left out.
    """
    rows = session.execute(
        select(Step.id, Step.fence)
        .where(*which)
        .order_by(Step.id)
        .with_for_update(key_share=True, skip_locked=not wait)
    )
    return {(step_id, fence) for step_id, fence in rows}
