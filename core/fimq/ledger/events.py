"""The outbox: events wait in the ledger until somebody took them.

An event is written in the transaction that ends its job, so there is one exactly when the
job ended. Delivery (webhooks, streams) comes later and marks what it delivered.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select, update

from fimq.ledger.clock import now
from fimq.ledger.database import Ledger
from fimq.ledger.tables import Event


@dataclass(frozen=True, slots=True)
class Offer:
    """An event that waits for delivery."""

    id: str
    job_id: str
    kind: str
    created_at: datetime
    offers: int


def undelivered(ledger: Ledger, *, again_after: float, limit: int = 100) -> list[Offer]:
    """Events nobody took, not offered within `again_after` seconds; each counts as offered."""
    with ledger.write() as session:
        rows = session.scalars(
            select(Event)
            .where(
                Event.delivered_at.is_(None),
                or_(Event.offered_at.is_(None), Event.offered_at < now(-again_after)),
            )
            .order_by(Event.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        ).all()
        offers = [
            Offer(row.id, row.job_id, row.kind, row.created_at, row.offers + 1) for row in rows
        ]
        if rows:
            session.execute(
                update(Event)
                .where(Event.id.in_([row.id for row in rows]))
                .values(offers=Event.offers + 1, offered_at=now())
            )
    return offers


def delivered(ledger: Ledger, event_id: str) -> None:
    """Mark an event as taken."""
    with ledger.write() as session:
        session.execute(update(Event).where(Event.id == event_id).values(delivered_at=now()))
