"""Contents: bytes that several jobs, and several tenants, may share in one store.

Asked under the content's lock (`fimq.ledger.locks`), so that a submit never counts on bytes
that a deletion is about to remove.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from fimq.ledger.tables import Job, Model, Video


def was_deleted(session: Session, sha256: str) -> bool:
    """Whether this content was removed from the store at some time, for any tenant."""
    purged = select(Video.id).where(Video.sha256 == sha256, Video.purged_at.is_not(None))
    return session.scalar(purged.limit(1)) is not None


def is_needed(session: Session, store_key: str) -> bool:
    """Whether a job of any tenant is about what lies under this key, or it is a model."""
    jobs = select(Job.id).join(Video, Video.id == Job.video_id).where(Video.store_key == store_key)
    models = select(Model.id).where(Model.store_key == store_key)
    return any(session.scalar(which.limit(1)) is not None for which in (jobs, models))
