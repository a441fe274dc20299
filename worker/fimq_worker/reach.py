"""Reach: whether the queue answers, said once when it stops and once when it is back.

The listener, the sweeper and the runner each meet a queue that is away, again and again while
it is; who reads the log wants to know it once.
"""

from __future__ import annotations

import threading
import time

import structlog

from fimq.logs import redact

log = structlog.get_logger(__name__)


class Reach:
    """Of one queue, by one worker. Every method may be called from any thread."""

    def __init__(self, queue: str) -> None:
        """Believe that it answers. `queue` is its URL."""
        self.queue = redact(queue)
        self._lock = threading.Lock()
        self._lost_at: float | None = None

    def lost(self, error: object) -> None:
        """It did not answer."""
        with self._lock:
            if self._lost_at is None:
                self._lost_at = time.monotonic()
                says = " ".join(redact(str(error)).split())
                log.warning("waiting for the queue", queue=self.queue, error=says)

    def found(self) -> None:
        """It answered."""
        with self._lock:
            if self._lost_at is not None:
                seconds = round(time.monotonic() - self._lost_at, 1)
                self._lost_at = None
                log.info("the queue is back", queue=self.queue, seconds=seconds)
