"""The exporter: `/metrics` of a worker, for Prometheus.

The ledger is asked when somebody looks, not before, so that its figures are seconds old; each
worker tells the same of it. A ledger or queue that cannot be asked is a figure too. It is
asked on one connection of the exporter's own, by one who looks at a time: however many look,
and however slowly it answers, no heartbeat waits for them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import structlog
from prometheus_client import start_http_server
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import DBAPIError

import fimq
from fimq.doorbell import Doorbell
from fimq.errors import (
    BrokerUnreachable,
    LedgerDamaged,
    LedgerUnreachable,
    ServiceError,
    UsageError,
)
from fimq.ledger.database import Ledger
from fimq.ledger.presence import WorkerState
from fimq.ledger.stats import Stats, stats
from fimq.settings import LANES, Settings
from fimq_worker.measures import Measures

#: Seconds of the past that the rates of `stats` look at; Prometheus has counters for more.
_WINDOW = 3600.0
#: Seconds for which an answer of the ledger serves whoever looks.
_FRESH_S = 2.0
#: Seconds that one who looks waits for the question of another.
_PATIENCE_S = 5.0

log = structlog.get_logger(__name__)


class MetricsRefused(UsageError):
    """`/metrics` cannot be served at this address."""

    code = "metrics_refused"
    hint = "FIMQ_METRICS takes HOST:PORT, or a port of this machine's loopback."


class MetricsTaken(ServiceError):
    """The address of `/metrics` is in use, or not this machine's."""

    code = "metrics_taken"
    hint = "Give each worker of a machine a port of its own (FIMQ_METRICS)."


class Exporter:
    """Serves the measures of a process and the state of the ledger, until closed."""

    def __init__(self, measures: Measures, looks: Looks, address: str) -> None:
        """Serve at `address`: `HOST:PORT`, or a port on the loopback; port 0 is any free one.

        Raises:
            MetricsRefused: that is no address.
            MetricsTaken: nobody can listen there.
        """
        host, port = address_of(address)
        self._looks = looks
        measures.registry.register(looks)
        try:
            self._server, self._thread = start_http_server(port, host, measures.registry)
        except OSError as error:
            raise MetricsTaken(f"cannot serve metrics at {host}:{port} ({error})") from error
        shown = f"[{host}]" if ":" in host else host
        #: Where it serves, whatever port was asked for.
        self.url = f"http://{shown}:{self._server.server_port}/metrics"

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._looks.close()


def address_of(address: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`, `[V6]:PORT` or `PORT`.

    Raises:
        MetricsRefused: it is none of these.
    """
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    if not port.isdecimal() or int(port) > 65535:
        raise MetricsRefused(f"{address!r} is no address")
    return host, int(port)


class Looks(Collector):
    """What is asked when somebody looks."""

    def __init__(
        self,
        settings: Settings,
        doorbell: Doorbell,
        models: Callable[[], dict[str, dict[str, Any]]],
    ) -> None:
        """Keep whom to ask; nothing is connected yet.

        Args:
            settings: where the ledger is, how long a worker may be silent, how many slots
                this one has.
            doorbell: messages that wait.
            models: the models loaded in this process and their runtimes.
        """
        self.settings = settings
        self.ledger = Ledger(settings.ledger, pool_size=1)
        self.doorbell = doorbell
        self.models = models
        self._asking = threading.Lock()
        self._told: Stats | None = None
        self._told_at = 0.0

    def close(self) -> None:
        """Ask no more."""
        self.ledger.close()

    def describe(self) -> list[Any]:
        """Nothing: the ledger is not asked before somebody looks."""
        return []

    def collect(self) -> Iterator[Any]:
        """The metric families of ledger, queue and models."""
        yield _one("fimq_slots", "Steps that this worker runs at once.", self.settings.slots)
        yield InfoMetricFamily("fimq", "Version.", {"version": fimq.__version__})
        yield from self._models()
        yield from self._ledger()
        yield from self._queue()

    def _models(self) -> Iterator[Any]:
        used = GaugeMetricFamily(
            "fimq_runtime",
            "1 for the runtime that judges with a model in this worker.",
            labels=["model", "runtime", "version", "precision"],
        )
        refused = GaugeMetricFamily(
            "fimq_runtime_refused",
            "1 for a runtime that may not judge with a model in this worker.",
            labels=["model", "runtime"],
        )
        for facts in self.models().values():
            used.add_metric(
                [facts["model"], facts["name"], facts["version"], facts["precision"]], 1
            )
            for refusal in facts["refused"]:
                refused.add_metric([facts["model"], refusal["name"]], 1)
        yield used
        yield refused

    def _ledger(self) -> Iterator[Any]:
        told = self._ask()
        if told is None:
            yield _one("fimq_ledger_up", "Whether the ledger answers.", 0)
            return
        yield _one("fimq_ledger_up", "Whether the ledger answers.", 1)
        jobs = GaugeMetricFamily("fimq_jobs", "Jobs that have not ended.", labels=["lane", "state"])
        steps = GaugeMetricFamily(
            "fimq_steps_open", "Steps that have not ended.", labels=["lane", "state"]
        )
        oldest = GaugeMetricFamily(
            "fimq_oldest_job_seconds",
            "Age of the oldest job that has not ended; 0 without any.",
            labels=["lane"],
        )
        for lane in told.lanes:
            jobs.add_metric([lane.lane, "queued"], lane.queued)
            jobs.add_metric([lane.lane, "running"], lane.running)
            steps.add_metric([lane.lane, "ready"], lane.steps_ready)
            steps.add_metric([lane.lane, "claimed"], lane.steps_claimed)
            oldest.add_metric([lane.lane], lane.oldest_s or 0.0)
        workers = GaugeMetricFamily("fimq_workers", "Workers by state.", labels=["state"])
        for state in WorkerState:
            if state is not WorkerState.STOPPED:
                workers.add_metric([state], told.workers.get(state, 0))
        yield from (jobs, steps, oldest, workers)
        if told.no_face_rate is not None:
            yield _one(
                "fimq_no_face_ratio",
                "Share of the last hour's verdicts that had no face to judge.",
                told.no_face_rate,
            )

    def _ask(self) -> Stats | None:
        """What the ledger tells, or told a moment ago; None: it does not answer."""
        if not self._asking.acquire(timeout=_PATIENCE_S):
            return None
        try:
            if self._told is None or time.monotonic() - self._told_at > _FRESH_S:
                self._told = None
                with self.ledger.read() as session:
                    self._told = stats(
                        session,
                        lanes=LANES,
                        window=_WINDOW,
                        silent=2 * self.settings.lease_seconds,
                    )
                self._told_at = time.monotonic()
        except (LedgerUnreachable, LedgerDamaged) as error:
            log.warning("no metrics of the ledger", code=error.code, error=error.message)
        except DBAPIError as error:
            # A fault of ours or of a row; whoever looks still gets the rest.
            log.warning("no metrics of the ledger", error=" ".join(str(error.orig).split()))
        finally:
            self._asking.release()
        return self._told

    def _queue(self) -> Iterator[Any]:
        messages = GaugeMetricFamily(
            "fimq_queue_messages", "Messages that no worker has taken.", labels=["lane"]
        )
        try:
            for lane in LANES:
                messages.add_metric([lane], self.doorbell.waiting(lane))
        except BrokerUnreachable:
            yield _one("fimq_queue_up", "Whether the queue answers.", 0)
            return
        yield _one("fimq_queue_up", "Whether the queue answers.", 1)
        yield messages


def _one(name: str, says: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, says, value=value)
