"""The desk: an installation, as who asks it for crops sees it. Store, ledger and queue.

Everything that is asked for has a key that says the run, the file, its bytes and the cut, so
that asking twice is asking once.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any, BinaryIO, Self

from fimq.cuts import LANE, Cut
from fimq.doorbell import CeleryDoorbell, Doorbell, make_app
from fimq.embedded.stack import Stack
from fimq.errors import DeletedMeanwhile, JobNotFound, NotReadable, WorkersDiffer, WrongState
from fimq.identifiers import short
from fimq.intake import shown
from fimq.ledger import completion, cutting, deletion, presence, submission
from fimq.ledger.cutting import CutJob
from fimq.ledger.database import Ledger
from fimq.ledger.presence import Presence, WorkerState
from fimq.ledger.submission import Content, Request, Submitted
from fimq.settings import Settings
from fimq.store.base import Store, open_store


class Desk:
    """Ask for crops, look how far they are, and clear away. Safe to use from many threads."""

    def __init__(
        self, settings: Settings, ledger: Ledger, store: Store, doorbell: Doorbell, run: str
    ) -> None:
        """Keep what is given; see `open`."""
        self.settings, self.ledger, self.store, self.doorbell = settings, ledger, store, doorbell
        self.run = run
        self._stack = Stack(settings)

    @classmethod
    @contextmanager
    def open(cls, settings: Settings, run: str, *, threads: int = 1) -> Iterator[Self]:
        """Open the installation of these settings, and start it where it is a private one.

        Args:
            settings: which installation.
            run: what all keys begin with: one run into one folder.
            threads: how many use it at once.

        Raises:
            ServiceError: it cannot be used.
        """
        if settings.embedded_queue:
            # Its worker makes the ledger, too.
            Stack(settings).ensure()
        ledger = Ledger(settings.ledger, pool_size=threads + 1)
        try:
            ledger.check_schema()
            store = open_store(settings.store, **settings.store_options)
            store.find()
            yield cls(settings, ledger, store, CeleryDoorbell(make_app(settings)), run)
        finally:
            ledger.close()

    def slots(self, faces: dict[str, Any]) -> int:
        """Steps that all live workers who hear the lane can have in work at once.

        Args:
            faces: what their settings have to agree with.

        Raises:
            WorkersDiffer: a worker would cut other crops.
            ServiceError: the private worker died, and cannot be started again.
        """
        if self.settings.embedded_queue and not self._stands():
            self._stack.ensure()
        alive = presence.alive(self.ledger, within=2 * self.settings.lease_seconds)
        cutters = [worker for worker in alive if _cuts(worker)]
        for worker in cutters:
            for name, value in faces.items():
                if (theirs := worker.facts["faces"].get(name)) != value:
                    raise WorkersDiffer(
                        f"worker {short(worker.id)} on {worker.host} has {name} {theirs}, "
                        f"and {value} is asked for"
                    )
        return sum(worker.slots for worker in cutters)

    def _stands(self) -> bool:
        state = self._stack.state()
        return state.queue and state.worker_pid is not None

    def ask(self, path: str, fd: int, cut: Cut) -> Submitted:
        """Put a file into the store and submit its job, or find the job that it has.

        Raises:
            InputError: the file cannot be read, or is too large for this installation.
            ServiceError: store or ledger cannot be used.
        """
        name = shown(PurePosixPath(path).name)
        request = Request(
            lane=LANE,
            model="",
            policy="",
            sampling=cut.sampling,
            min_samples=1,
            external_id=path,
            cut=cut,
        )
        for last in (False, False, True):
            with os.fdopen(os.dup(fd), "rb") as source:
                content = self._stored(source, name)
            try:
                return submission.submit(
                    self.ledger,
                    content,
                    request,
                    tenant=self.settings.tenant,
                    idempotency_key=self._key(path, content, cut),
                    kept=self.store.has,
                )
            except DeletedMeanwhile:
                # The file is at hand: it goes in again.
                if last:
                    raise
        raise AssertionError  # pragma: no cover - the loop returns or raises

    def _stored(self, source: BinaryIO, name: str) -> Content:
        try:
            source.seek(0)
            stored = self.store.put(source, limit=self.settings.max_bytes)
        except OSError as error:
            why = error.strerror or str(error)
            raise NotReadable(f"{name} could not be read to its end: {why}") from error
        return Content(stored.sha256, stored.bytes, stored.key, name)

    def _key(self, path: str, content: Content, cut: Cut) -> str:
        asked = json.dumps([path, content.sha256, cut.options], sort_keys=True)
        return self._prefix + hashlib.sha256(asked.encode()).hexdigest()

    @property
    def _prefix(self) -> str:
        return f"prepare:{self.run}:"

    def ring(self, step_id: str) -> None:
        """Tell workers of a step.

        Raises:
            BrokerUnreachable: nobody could be told; the sweep will.
        """
        self.doorbell.ring(step_id, LANE)

    def known(self) -> list[CutJob]:
        """Every job of this run that is in the ledger, whoever asked for it."""
        with self.ledger.read() as session:
            return cutting.asked_under(session, self.settings.tenant, self._prefix)

    def jobs(self, job_ids: Sequence[str]) -> dict[str, CutJob]:
        """How these jobs are; one that was deleted is left out."""
        with self.ledger.read() as session:
            return cutting.jobs(session, job_ids)

    def discard(self, job_id: str) -> None:
        """Remove a job, its bundle, and its video if no other job is about it.

        Raises:
            ServiceError: store or ledger cannot be used; the job is still there.
        """
        try:
            try:
                deletion.delete(self.ledger, job_id, remove=self.store.delete)
            except WrongState:
                completion.cancel(self.ledger, job_id)
                deletion.delete(self.ledger, job_id, remove=self.store.delete)
        except JobNotFound:
            # Somebody was first.
            return


def _cuts(worker: Presence) -> bool:
    takes_work = worker.state is not WorkerState.DRAINING
    return takes_work and LANE in worker.lanes and "faces" in worker.facts
