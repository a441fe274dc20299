"""Presence: which workers are alive, by their heartbeat rows."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update

from fimq.identifiers import new_id
from fimq.ledger.clock import now
from fimq.ledger.database import Ledger
from fimq.ledger.tables import Worker

#: A stopped or silent worker's row is kept so long, in seconds, for who looks afterwards.
KEEP = 86_400.0


@dataclass(frozen=True, slots=True)
class Presence:
    """A worker as the ledger knows it."""

    id: str
    host: str
    pid: int
    lanes: list[str]
    slots: int
    facts: dict[str, Any]
    started_at: datetime
    beat_at: datetime


def register(ledger: Ledger, *, lanes: list[str], slots: int, facts: dict[str, Any]) -> str:
    """Enter a worker; returns its id. Rows of workers long gone are removed."""
    worker_id = new_id()
    with ledger.write() as session:
        session.execute(delete(Worker).where(Worker.beat_at < now(-KEEP)))
        session.add(
            Worker(
                id=worker_id,
                host=socket.gethostname(),
                pid=os.getpid(),
                lanes=lanes,
                slots=slots,
                facts=facts,
            )
        )
    return worker_id


def seen(ledger: Ledger, worker_id: str) -> None:
    """A worker's heartbeat."""
    with ledger.write() as session:
        session.execute(update(Worker).where(Worker.id == worker_id).values(beat_at=now()))


def leave(ledger: Ledger, worker_id: str) -> None:
    """A worker stops."""
    with ledger.write() as session:
        session.execute(update(Worker).where(Worker.id == worker_id).values(stopped_at=now()))


def alive(ledger: Ledger, *, within: float) -> list[Presence]:
    """Workers that beat within so many seconds and did not stop."""
    with ledger.read() as session:
        rows = session.scalars(
            select(Worker)
            .where(Worker.stopped_at.is_(None), Worker.beat_at > now(-within))
            .order_by(Worker.id)
        ).all()
    return [
        Presence(
            row.id, row.host, row.pid, row.lanes, row.slots, row.facts, row.started_at, row.beat_at
        )
        for row in rows
    ]
