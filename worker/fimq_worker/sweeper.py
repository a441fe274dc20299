"""The sweeper: a thread that looks for lost work and rings for it again."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping

import structlog

from fimq.doorbell import Doorbell
from fimq.errors import BrokerUnreachable, LedgerUnreachable, WorkerLost
from fimq.ledger.database import Ledger
from fimq.ledger.sweep import sweep
from fimq.settings import LANES, Settings
from fimq_worker.measures import Measures
from fimq_worker.reach import Reach

#: More messages than there can be steps: nothing is rung for while the queue is away.
_NOBODY_HEARS = sys.maxsize

log = structlog.get_logger(__name__)


class Sweeper:
    """Sweeps the ledger every `sweep_seconds`, at once when started."""

    def __init__(
        self,
        ledger: Ledger,
        doorbell: Doorbell,
        settings: Settings,
        measures: Measures,
        reach: Reach,
    ) -> None:
        """Do nothing yet; `start` starts the thread."""
        self.ledger = ledger
        self.doorbell = doorbell
        self.settings = settings
        self.measures = measures
        self.reach = reach
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweep", daemon=True)

    def start(self) -> None:
        """Start sweeping."""
        self._thread.start()

    def end(self) -> None:
        """Stop sweeping."""
        self._ended.set()
        self._thread.join()

    def once(self) -> int:
        """One sweep; returns how many steps were rung for."""
        try:
            waiting: dict[str, int] = {lane: self.doorbell.waiting(lane) for lane in LANES}
        except BrokerUnreachable:
            # Leases run out all the same.
            self._sweep(dict.fromkeys(LANES, _NOBODY_HEARS))
            raise
        return self._sweep(waiting)

    def _sweep(self, waiting: Mapping[str, int]) -> int:
        swept = sweep(
            self.ledger,
            max_losses=self.settings.max_losses,
            ring_after=self.settings.ring_seconds,
            waiting=waiting,
        )
        if swept.lost:
            log.warning("leases ran out", steps=swept.lost, jobs_failed=swept.failed)
            self.measures.leases_lost(swept.lost)
            self.measures.failed(WorkerLost.code, swept.failed)
        for step_id, lane in swept.ring:
            self.doorbell.ring(step_id, lane)
        return len(swept.ring)

    def _run(self) -> None:
        while True:
            try:
                self.once()
                self.reach.found()
            except BrokerUnreachable as error:
                self.reach.lost(error.message)
            except LedgerUnreachable as error:
                log.warning("sweep failed", code=error.code, error=error.message)
            except Exception:
                # The thread's edge: without it lost work would stay lost.
                log.exception("sweep met an unknown error")
            if self._ended.wait(self.settings.sweep_seconds):
                return
