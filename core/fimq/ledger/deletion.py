"""Deletion: a job and what it wrote leave the ledger, and its video when nobody needs it."""

from __future__ import annotations

from sqlalchemy import delete as delete_rows
from sqlalchemy import func, select, update

from fimq.errors import JobNotFound
from fimq.ledger.clock import now
from fimq.ledger.database import Ledger
from fimq.ledger.tables import Event, Face, Job, Sample, Step, Track, VerdictRow, Video


def delete(ledger: Ledger, job_id: str) -> str | None:
    """Remove a job that has ended; returns the store key of its video if now unused.

    The video's row stays, marked as purged, so that its hash can still be accounted for.

    Raises:
        JobNotFound: there is no such job.
    """
    with ledger.write() as session:
        job = session.get(Job, job_id)
        if job is None:
            raise JobNotFound
        for table in (Face, Sample, Track, VerdictRow, Event, Step):
            session.execute(delete_rows(table).where(table.job_id == job_id))
        session.execute(update(Job).where(Job.superseded_by == job_id).values(superseded_by=None))
        session.execute(delete_rows(Job).where(Job.id == job_id))
        others = session.scalar(
            select(func.count()).select_from(Job).where(Job.video_id == job.video_id)
        )
        if others:
            return None
        video = session.get_one(Video, job.video_id)
        session.execute(update(Video).where(Video.id == video.id).values(purged_at=now()))
        return video.store_key
