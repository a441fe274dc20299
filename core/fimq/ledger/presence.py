"""Presence: which workers there are, by their heartbeat rows, and who was asked to go."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from fimq.errors import WorkerAmbiguous, WorkerNotFound
from fimq.identifiers import new_id, short
from fimq.ledger.claims import changed
from fimq.ledger.clock import now
from fimq.ledger.database import Ledger
from fimq.ledger.states import StepState
from fimq.ledger.tables import Step, Worker

#: The fact that a worker tells of itself while it loads.
STARTING = "starting"
#: A stopped or silent worker's row is kept so long, in seconds, for who looks afterwards.
KEEP = 86_400.0


class WorkerState(StrEnum):
    """How a worker is, by its row."""

    STARTING = "starting"  #: loads what judging takes, and takes no work yet
    WORKING = "working"
    IDLE = "idle"
    DRAINING = "draining"  #: was asked to go, and ends what it has
    SILENT = "silent"  #: not heard of for longer than its leases last
    STOPPED = "stopped"

    @property
    def alive(self) -> bool:
        """Whether its heartbeat is heard."""
        return self not in {WorkerState.SILENT, WorkerState.STOPPED}


@dataclass(frozen=True, slots=True)
class Presence:
    """A worker as the ledger knows it."""

    id: str
    state: WorkerState
    host: str
    pid: int
    lanes: list[str]
    slots: int
    steps: int  #: that it holds now
    facts: dict[str, Any]  #: versions, and the runtime of each model that it has loaded
    started_at: datetime
    beat_at: datetime
    stopped_at: datetime | None


def register(ledger: Ledger, *, lanes: list[str], slots: int, facts: dict[str, Any]) -> str:
    """Enter a worker; returns its id. Rows of workers long gone are removed."""
    worker_id = new_id()
    with ledger.write() as session:
        # Another that registers removes the same rows, and in an order of its own.
        gone = select(Worker.id).where(Worker.beat_at < now(-KEEP))
        session.execute(delete(Worker).where(Worker.id.in_(gone.with_for_update(skip_locked=True))))
        session.add(_row(worker_id, lanes, slots, facts))
    return worker_id


def seen(
    ledger: Ledger, worker_id: str, facts: dict[str, Any], *, lanes: list[str], slots: int
) -> bool:
    """A worker's heartbeat, with what it is now. True: it was asked to drain.

    A worker whose row was removed while it slept (a laptop's lid) is entered again.
    """
    with ledger.write() as session:
        own = Worker.id == worker_id
        if not changed(session, update(Worker).where(own).values(beat_at=now(), facts=facts)):
            session.add(_row(worker_id, lanes, slots, facts))
            return False
        return session.scalar(select(Worker.drain_at).where(own)) is not None


def _row(worker_id: str, lanes: list[str], slots: int, facts: dict[str, Any]) -> Worker:
    return Worker(
        id=worker_id,
        host=socket.gethostname(),
        pid=os.getpid(),
        lanes=lanes,
        slots=slots,
        facts=facts,
    )


def leave(ledger: Ledger, worker_id: str) -> None:
    """A worker stops."""
    with ledger.write() as session:
        session.execute(update(Worker).where(Worker.id == worker_id).values(stopped_at=now()))


def ask_to_drain(ledger: Ledger, wanted: str) -> str:
    """Ask a worker to end what it has, take no more, and go; returns its id.

    It learns of it by its next heartbeat. Asking twice is asking once.

    Raises:
        WorkerNotFound: no worker that has not stopped has an id that begins so.
        WorkerAmbiguous: several have; the message lists them.
    """
    with ledger.write() as session:
        found = session.scalars(
            select(Worker.id)
            .where(Worker.id.startswith(wanted.lower(), autoescape=True))
            .where(Worker.stopped_at.is_(None))
            .order_by(Worker.id)
            .limit(5)
        ).all()
        if not wanted or not found:
            raise WorkerNotFound(_not_running(session, wanted))
        if len(found) > 1:
            names = ", ".join(map(short, found))
            raise WorkerAmbiguous(f"{wanted} begins more than one worker's id: {names}")
        session.execute(
            update(Worker)
            .where(Worker.id == found[0], Worker.drain_at.is_(None))
            .values(drain_at=now())
        )
        return found[0]


def _not_running(session: Session, wanted: str) -> str:
    """Why nobody can be asked to drain by this id."""
    begins = Worker.id.startswith(wanted.lower(), autoescape=True)
    gone = session.scalar(select(Worker).where(begins).order_by(Worker.id.desc()).limit(1))
    if not wanted or gone is None or gone.stopped_at is None:
        return f"no worker's id begins with {wanted!r}"
    return f"worker {short(gone.id)} has stopped already, at {gone.stopped_at:%Y-%m-%d %H:%M} UTC"


def workers(session: Session, *, within: float) -> list[Presence]:
    """Every worker of the last day, oldest first; silent: no beat within so many seconds."""
    held = dict(
        session.execute(
            select(Step.worker_id, func.count())
            .where(Step.state == StepState.CLAIMED, Step.worker_id.is_not(None))
            .group_by(Step.worker_id)
        ).all()
    )
    # Silence is judged by the database's clock, like every lease.
    heard = (Worker.beat_at > now(-within)).label("heard")
    return [
        Presence(
            id=row.id,
            state=_state(row, heard=bool(heard_of), steps=held.get(row.id, 0)),
            host=row.host,
            pid=row.pid,
            lanes=row.lanes,
            slots=row.slots,
            steps=held.get(row.id, 0),
            facts=row.facts,
            started_at=row.started_at,
            beat_at=row.beat_at,
            stopped_at=row.stopped_at,
        )
        for row, heard_of in session.execute(
            select(Worker, heard).where(Worker.beat_at > now(-KEEP)).order_by(Worker.id)
        )
    ]


def anybody(session: Session) -> bool:
    """Whether a worker ever served this ledger: the row of the last one stays."""
    return session.scalar(select(Worker.id).limit(1)) is not None


def alive(ledger: Ledger, *, within: float) -> list[Presence]:
    """Workers that beat within so many seconds and did not stop."""
    with ledger.read() as session:
        return [worker for worker in workers(session, within=within) if worker.state.alive]


def _state(row: Worker, *, heard: bool, steps: int) -> WorkerState:
    if row.stopped_at is not None:
        return WorkerState.STOPPED
    if not heard:
        return WorkerState.SILENT
    if row.drain_at is not None:
        return WorkerState.DRAINING
    if row.facts.get(STARTING):
        return WorkerState.STARTING
    return WorkerState.WORKING if steps else WorkerState.IDLE
