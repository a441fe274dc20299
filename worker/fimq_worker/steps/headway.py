"""Headway: how far a step is, told to the ledger now and then."""

from __future__ import annotations

import time

import structlog

from fimq.errors import LedgerUnreachable
from fimq.ledger import claims
from fimq.ledger.database import Ledger
from fimq_worker.holding import Held, Stopped

#: Seconds between two words.
PROGRESS_S = 0.5

log = structlog.get_logger(__name__)


class Headway:
    """What one step has done so far."""

    def __init__(self, ledger: Ledger, held: Held, *, lease: float) -> None:
        """Tell nothing yet; `lease` is how long the claim lives without a beat, in seconds."""
        self._ledger, self._held, self._lease = ledger, held, lease
        self._tell_at = time.monotonic() + PROGRESS_S

    def made(self, samples: int) -> None:
        """So many samples are done in all.

        Raises:
            Stopped: the claim was lost.
        """
        if time.monotonic() > self._tell_at:
            # A server that does not answer is not asked at every sample.
            pause = PROGRESS_S if self._tell(samples) else self._lease / 3
            self._tell_at = time.monotonic() + pause

    def _tell(self, done: int) -> bool:
        """False: the ledger is away; the heartbeat will tell of lost claims."""
        try:
            ours = claims.report_progress(self._ledger, self._held.claim, done)
        except LedgerUnreachable as error:
            log.debug("progress not told", error=error.message)
            return False
        if not ours:
            raise Stopped
        return True
