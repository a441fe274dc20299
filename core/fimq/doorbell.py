"""The doorbell: tells workers, through Redis or Valkey, that a step is ready.

A message carries a step id and nothing else. The ledger decides; losing every message, or
getting each one five times, changes nothing but the delay.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from celery import Celery
from celery.exceptions import OperationalError as CeleryOperationalError
from kombu.entity import Queue
from kombu.exceptions import OperationalError as KombuOperationalError
from redis.exceptions import RedisError

from fimq.errors import BrokerUnreachable
from fimq.logs import redact
from fimq.settings import LANES, Settings

TASK = "fimq.step"
#: Above the time limit of every step, so that Redis never hands out a step that is worked on.
VISIBILITY = 6 * 3600
#: A broker that is silent for so long, in seconds, is down.
SOCKET_TIMEOUT = 10.0


class Doorbell(Protocol):
    """Tells workers that a step is ready."""

    def ring(self, step_id: str, lane: str) -> None:
        """Tell a worker of `lane`.

        Raises:
            BrokerUnreachable: nobody could be told; the sweep will try again.
        """
        ...

    def waiting(self, lane: str) -> int:
        """How many messages of `lane` wait for a worker.

        Raises:
            BrokerUnreachable: nobody could be asked.
        """
        ...


class CeleryDoorbell:
    """The doorbell on a Celery application."""

    def __init__(self, app: Celery) -> None:
        """Ring through `app`."""
        self.app = app

    def ring(self, step_id: str, lane: str) -> None:
        """Tell a worker; see `Doorbell.ring`."""
        with self._reached():
            self.app.send_task(TASK, args=(step_id,), queue=lane, retry=False, ignore_result=True)

    def waiting(self, lane: str) -> int:
        """Count messages; see `Doorbell.waiting`."""
        with self._reached(), self.app.connection_or_acquire() as connection:
            # On Redis a declaration makes nothing; its answer has the count.
            return int(connection.default_channel.queue_declare(lane).message_count)

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except (KombuOperationalError, CeleryOperationalError, RedisError, OSError) as error:
            url = redact(str(self.app.conf.broker_url))
            raise BrokerUnreachable(f"cannot reach the queue at {url} ({error})") from error


def make_app(settings: Settings) -> Celery:
    """The Celery application that submitters and workers share."""
    app = Celery("fimq", broker=settings.broker, set_as_current=False)
    transport: dict[str, Any] = {
        "visibility_timeout": VISIBILITY,
        "queue_order_strategy": "priority",
        "socket_timeout": SOCKET_TIMEOUT,
        "socket_connect_timeout": SOCKET_TIMEOUT,
        "health_check_interval": 25,
        # Of who rings; a broker that is down is said at once, and the sweep rings again. The
        # worker's own connection tries for ever.
        "max_retries": 1,
        "interval_start": 0.2,
        # Lost messages are looked for once a minute; kombu's own defaults make it 100 s.
        "unacked_restore_interval": 60,
        "unacked_restore_throttle": 1,
    }
    if not settings.embedded_queue:
        transport["socket_keepalive"] = True
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_acks_late=True,
        task_acks_on_failure_or_timeout=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_pool="threads",
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=transport,
        # Declared in the order in which they are served.
        task_queues=[Queue(lane) for lane in LANES],
        task_default_queue="standard",
        task_create_missing_queues=False,
        timezone="UTC",
    )
    return app
