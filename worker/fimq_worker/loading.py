"""Loading: what judging takes is there before the first step is claimed, or the worker says why.

A TensorRT engine that has to be built may take minutes, in a call that no signal ends. It is
therefore loaded in a thread of its own, and who waits for it can be told to wait no longer.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue

import structlog

from fimq.settings import Settings
from fimq_worker.steps.analysis import Analyst

log = structlog.get_logger(__name__)


class StoppedEarly(Exception):
    """This worker was told to stop before everything was loaded."""

    def __init__(self, status: int) -> None:
        """`status`: the exit status that goes with it."""
        super().__init__(status)
        self.status = status


class Loading:
    """Loads the default model, its runtime, and a decode child with its face finder."""

    def __init__(self, settings: Settings, analyst: Analyst) -> None:
        """Load nothing yet."""
        self.settings = settings
        self.analyst = analyst
        #: Unlike a lock or an event, it may be put into from inside a signal's handler.
        self._news: SimpleQueue[Exception | None] = SimpleQueue()

    def stop(self, status: int) -> None:
        """Have `wait` raise `StoppedEarly`. May be called inside a signal's handler."""
        self._news.put(StoppedEarly(status))

    def wait(self) -> None:
        """Load, and return when it is done.

        Raises:
            FimqError: what is missing; see `Analyst.prepare`.
            StoppedEarly: `stop` was called. The loading may still go on.
        """
        log.info("worker starts", model=self.settings.model, runtime=self.settings.runtime)
        threading.Thread(target=self._load, name="load", daemon=True).start()
        if (error := self._news.get()) is not None:
            raise error

    def _load(self) -> None:
        try:
            self.analyst.prepare()
        except Exception as error:  # noqa: BLE001 - the thread's edge: it is raised in the other
            self._news.put(error)
        else:
            self._news.put(None)
