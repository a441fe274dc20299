"""Deletion: a job and what it made leave the installation, and its video when nobody needs it."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import delete as delete_rows
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from fimq.errors import JobNotFound, WrongState
from fimq.identifiers import short
from fimq.ledger import contents, cutting
from fimq.ledger.clock import now
from fimq.ledger.database import Ledger
from fimq.ledger.locks import lock_content, lock_job, lock_steps, lock_video
from fimq.ledger.states import JOB_ENDED
from fimq.ledger.tables import Event, Face, Job, Sample, Step, Track, VerdictRow, Video


def delete(ledger: Ledger, job_id: str, *, remove: Callable[[str], None]) -> str | None:
    """Remove a job that has ended, and its video where no other job is about it.

    Returns the store key of the video if it was removed.

    `remove` gets the video's store key inside the transaction: a submit of the same bytes
    waits for it and then looks whether they are still there, and where it fails the job
    stays, to be deleted again. So no job is left without its bytes, and no bytes without a
    job that tells of them. The same goes for the job's bundle of crops.

    The video's row stays, marked as purged, so that its hash can still be accounted for.
    Where other jobs took the verdict over, the oldest of them keeps what it was made from.

    Raises:
        JobNotFound: there is no such job.
        WrongState: the job has not ended.
        Whatever `remove` raises; then nothing was deleted from the ledger.
    """
    with ledger.write() as session:
        video = session.scalar(select(Video).join(Job).where(Job.id == job_id))
        if video is None:
            raise JobNotFound
        lock_content(session, video.sha256)
        lock_video(session, video.id)
        lock_job(session, job_id)
        job = session.get(Job, job_id)
        if job is None:
            raise JobNotFound
        if job.state not in JOB_ENDED:
            raise WrongState(f"{job.name} is {job.state}; first: fimq cancel {short(job.id)}")
        lock_steps(session, Step.job_id == job_id)
        bundle = cutting.report_of(session, job_id)
        _bequeath(session, job_id)
        for table in (Face, Sample, Track, VerdictRow, Event, Step):
            session.execute(delete_rows(table).where(table.job_id == job_id))
        session.execute(update(Job).where(Job.superseded_by == job_id).values(superseded_by=None))
        session.execute(delete_rows(Job).where(Job.id == job_id))
        if bundle is not None:
            # It names its job, so that it is nobody else's.
            remove(bundle.key)
        others = session.scalar(
            select(func.count()).select_from(Job).where(Job.video_id == job.video_id)
        )
        if others:
            return None
        session.execute(update(Video).where(Video.id == video.id).values(purged_at=now()))
        # As it is now: a submit that had the lock before us may have found it elsewhere.
        session.refresh(video)
        if contents.is_needed(session, video.store_key):
            return None
        remove(video.store_key)
        return video.store_key


def _bequeath(session: Session, job_id: str) -> None:
    """Give a job's samples, faces and tracks to the oldest job that shows its verdict."""
    took_over = VerdictRow.reused_from == job_id
    heir = session.scalar(
        select(VerdictRow.job_id).where(took_over).order_by(VerdictRow.job_id).limit(1)
    )
    if heir is None:
        return
    for table in (Sample, Face, Track):
        session.execute(update(table).where(table.job_id == job_id).values(job_id=heir))
    session.execute(update(VerdictRow).where(took_over).values(reused_from=heir))
    session.execute(update(VerdictRow).where(VerdictRow.job_id == heir).values(reused_from=None))
