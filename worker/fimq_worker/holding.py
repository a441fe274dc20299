"""Holding: the claims of this process, kept alive by one heartbeat thread.

The heartbeat also brings bad news: a claim that was lost or cancelled stops its work.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from fimq.errors import LedgerUnreachable
from fimq.ledger import claims, presence
from fimq.ledger.claims import Claim
from fimq.ledger.database import Ledger

#: So many workers may reach for the same step at once before one of them goes empty-handed; a
#: sweep rings for what is left.
_RIVALS = 32

log = structlog.get_logger(__name__)


class Stopped(Exception):
    """This work was taken away: lost, cancelled, or the worker stops."""


@dataclass(slots=True)
class Held:
    """A claim in work, and the way to stop it from another thread."""

    claim: Claim
    _lost: threading.Event = field(default_factory=threading.Event)
    _stop: threading.Event = field(default_factory=threading.Event)
    _on_stop: list[Callable[[], None]] = field(default_factory=list)

    def check(self) -> None:
        """Raise `Stopped` if this work was taken away."""
        if self._stop.is_set():
            raise Stopped

    def on_stop(self, call: Callable[[], None]) -> None:
        """Have `call` called, once, when the work is taken away, or now if it was."""
        self._on_stop.append(call)
        if self._stop.is_set():
            call()

    @property
    def lost(self) -> bool:
        """Whether the ledger gave the step to another, or cancelled it."""
        return self._lost.is_set()

    def lost_within(self, seconds: float) -> bool:
        """Wait so long; True at once when the claim is lost."""
        return self._lost.wait(seconds)

    def lose(self) -> None:
        """Take the work away, for the claim is no longer ours."""
        self._lost.set()
        self.stop()

    def stop(self) -> None:
        """Take the work away. Harmless twice."""
        if not self._stop.is_set():
            self._stop.set()
            for call in list(self._on_stop):
                call()


class Holding:
    """Every claim of this process. Threads take and drop; one thread beats."""

    def __init__(
        self,
        ledger: Ledger,
        worker_id: str,
        *,
        lease: float,
        lanes: Sequence[str] = (),
        slots: int = 0,
        facts: Callable[[], dict[str, Any]] = dict,
        on_drain: Callable[[], None] | None = None,
    ) -> None:
        """Hold nothing yet; `start` starts the heartbeat.

        Args:
            ledger: where the claims are.
            worker_id: whose they are.
            lease: seconds for which a claim is kept without a beat.
            lanes: what the worker is entered with again, should its row be gone.
            slots: the same.
            facts: what a beat tells of this worker.
            on_drain: called once, from the heartbeat, when this worker was asked to drain.
        """
        self.ledger = ledger
        self.worker_id = worker_id
        self.lease = lease
        self.lanes = list(lanes)
        self.slots = slots
        self._facts = facts
        self._on_drain = on_drain
        self._draining = threading.Event()
        #: By step and fence: a step that was lost may come back while its old work unwinds.
        self._held: dict[tuple[str, int], Held] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Start the heartbeat."""
        self._thread.start()

    def take(self, step_id: str) -> Held | None:
        """Claim what is next in the lane of a step that was rung for.

        None when there is nothing to take, or this worker stops.
        """
        if self._closing.is_set() or self._draining.is_set():
            return None
        claim = self._claim(step_id)
        if claim is None:
            return None
        held = Held(claim)
        with self._lock:
            self._held[_key(claim)] = held
            closing = self._closing.is_set()
        if closing:
            held.stop()
        return held

    def _claim(self, step_id: str) -> Claim | None:
        # Others who were rung for at the same moment look at the same list.
        waiting = claims.oldest_waiting(self.ledger, step_id, limit=_RIVALS)
        tries = (claims.claim(self.ledger, each, self.worker_id, self.lease) for each in waiting)
        return next((claim for claim in tries if claim is not None), None)

    def drop(self, held: Held) -> None:
        """Forget a claim, however it ended."""
        with self._lock:
            self._held.pop(_key(held.claim), None)

    def busy(self) -> int:
        """How many steps are in work."""
        with self._lock:
            return len(self._held)

    @property
    def draining(self) -> bool:
        """Whether this worker takes no more, and ends what it has."""
        return self._draining.is_set()

    def close(self) -> None:
        """Take no more, and stop what is in work."""
        self._closing.set()
        with self._lock:
            open_now = list(self._held.values())
        for held in open_now:
            held.stop()

    def closes_within(self, seconds: float) -> bool:
        """Wait so long; True at once when this worker stops."""
        return self._closing.wait(seconds)

    def beat(self) -> None:
        """One heartbeat: extend every lease, stop what was taken away, and be seen."""
        # Leases first: who locks the workers' table (an upgrade) costs nobody a step.
        self._extend()
        asked_to_drain = presence.seen(
            self.ledger, self.worker_id, self._facts(), lanes=self.lanes, slots=self.slots
        )
        if asked_to_drain and not self._draining.is_set():
            log.info("asked to drain: what is in work is ended, nothing more is taken")
            self._draining.set()
            if self._on_drain is not None:
                self._on_drain()

    def _extend(self) -> None:
        with self._lock:
            open_now = [held.claim for held in self._held.values()]
        gone = claims.beat(self.ledger, self.worker_id, open_now, self.lease)
        with self._lock:
            # What ended while we asked was not lost.
            lost = [self._held[_key(claim)] for claim in gone if _key(claim) in self._held]
        for held in lost:
            log.warning("claim lost", step_id=held.claim.step_id, job_id=held.claim.job_id)
            held.lose()

    def end(self) -> None:
        """Stop the heartbeat, when nothing is held any more."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        # It beats on while the worker closes: claims are held until they are given back.
        while True:
            try:
                self.beat()
            except LedgerUnreachable as error:
                log.warning("heartbeat failed", error=error.message)
            except Exception:
                # The thread's edge: without it every claim of this worker would be lost.
                log.exception("heartbeat met an unknown error")
            if self._ended.wait(self.lease / 3):
                return


def _key(claim: Claim) -> tuple[str, int]:
    return claim.step_id, claim.fence
