"""The housekeeper: a thread that removes what killed submits and workers left in the store."""

from __future__ import annotations

import threading

import structlog

from fimq.errors import ServiceError
from fimq.store.base import Store

#: Leftovers are days old before they go, and copies a day: an hour more is no matter.
_PAUSE_S = 3600

log = structlog.get_logger(__name__)


class Housekeeper:
    """Tidies the store at once when started, and every hour."""

    def __init__(self, store: Store) -> None:
        """Do nothing yet; `start` starts the thread."""
        self.store = store
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tidy", daemon=True)

    def start(self) -> None:
        """Start tidying."""
        self._thread.start()

    def end(self) -> None:
        """Stop tidying. A look that waits for the store is not waited for."""
        self._ended.set()

    def _run(self) -> None:
        while True:
            try:
                if found := self.store.tidy():
                    log.info("store tidied", leftovers=found)
            except ServiceError as error:
                log.warning("store not tidied", code=error.code, error=error.message)
            except Exception:
                # The thread's edge: a worker can do its work without it.
                log.exception("tidying met an unknown error")
            if self._ended.wait(_PAUSE_S):
                return
