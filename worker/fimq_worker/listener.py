"""The listener: Celery's worker without its own signals, its own words and its own patience.

Celery's command warns of root, writes past our log when it is told to stop, and tells of a
queue that is away at every try. This is made of the same parts, and `Reach` tells what they
meet; signals are the process's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

from celery import Celery
from celery.app import trace
from celery.worker import WorkController, state
from celery.worker.consumer import Consumer
from celery.worker.consumer.consumer import CONNECTION_RETRY

from fimq_worker.reach import Reach

#: Seconds between two tries to reach the queue: the first ones, and what they grow to.
_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 5.0


def end_soon(status: int) -> None:
    """Have the listener of this process end, now or when it starts: take no more, and wait.

    May be called inside a signal's handler.
    """
    state.should_stop = status


class Listener(WorkController):  # type: ignore[misc] # celery ships no types
    """Takes doorbells off the queue, and runs the task of each in a thread."""

    def __init__(
        self,
        app: Celery,
        reach: Reach,
        *,
        lanes: Sequence[str],
        slots: int,
        on_ready: Callable[[], None],
    ) -> None:
        """Connect to nothing yet.

        Args:
            app: the application, with its task.
            reach: told whether the queue answers.
            lanes: queues, the most important first.
            slots: threads.
            on_ready: called when the queue has answered for the first time.
        """
        self.reach = reach
        self._on_ready = on_ready
        super().__init__(
            app=app,
            pool="threads",
            concurrency=slots,
            queues=list(lanes),
            consumer_cls=_Consumer,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )

    def listen(self) -> int:
        """Work until `end_soon`; returns the exit status."""
        self.start()
        return int(self.exitcode or 0)

    def on_before_init(self, **_: Any) -> None:
        """Celery calls it: make the application the one of every thread."""
        trace.setup_worker_optimizations(self.app, self.hostname)

    def on_consumer_ready(self, _consumer: Any) -> None:
        """Celery calls it, once."""
        self._on_ready()


class _Consumer(Consumer):  # type: ignore[misc] # celery ships no types
    """Celery's consumer; it tries for ever to reach the queue, and its listener's Reach tells."""

    def ensure_connected(self, conn: Any) -> Any:
        reach: Reach = self.controller.reach

        def told(error: Exception, _seconds: float) -> None:
            reach.lost(error)

        reached = conn.ensure_connection(
            told,
            interval_start=_WAIT_S,
            interval_step=_WAIT_S,
            interval_max=_LONGEST_WAIT_S,
            callback=state.maybe_shutdown,
        )
        self.first_connection_attempt = False
        reach.found()
        return reached

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        self.controller.reach.lost(exc)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        self.controller.reach.lost(exc)
        super().on_connection_error_after_connected(exc)


def _is_not_told_already(record: logging.LogRecord) -> bool:
    return not (record.args and CONNECTION_RETRY in record.args)


logging.getLogger(Consumer.__module__).addFilter(_is_not_told_already)
