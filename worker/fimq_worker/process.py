"""The worker process: Celery takes the doorbells, threads run the steps.

It composes what the other rooms make: ledger, holding, sweeper, analyst, runner. Order of
the end: no new claims, children cancelled, claims given back, threads joined, row left.
"""

from __future__ import annotations

import os
import platform
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import structlog
from celery import signals

import fimq
from fimq.doorbell import TASK, CeleryDoorbell, make_app
from fimq.embedded import valkey
from fimq.embedded.locks import HeldLock, exclusive
from fimq.embedded.stack import Stack
from fimq.errors import FimqError
from fimq.ledger import presence, reading
from fimq.ledger.database import Ledger
from fimq.ledger.tables import SCHEMA
from fimq.settings import Settings
from fimq.store.base import open_store
from fimq_worker.exporter import Exporter, Looks
from fimq_worker.holding import Holding
from fimq_worker.housekeeper import Housekeeper
from fimq_worker.measures import Measures
from fimq_worker.steps.analysis import Analyst
from fimq_worker.steps.runner import StepRunner
from fimq_worker.sweeper import Sweeper

log = structlog.get_logger(__name__)


class WorkerProcess:
    """One worker, from its start to its end."""

    def __init__(self, settings: Settings, *, lanes: Sequence[str], embedded: bool) -> None:
        """Open nothing yet.

        Args:
            settings: the settings of this process.
            lanes: lanes to serve, the most important first.
            embedded: stop when idle, together with the private queue.
        """
        self.settings = settings
        self.lanes = list(lanes)
        self.embedded = embedded
        self.stack = Stack(settings)
        self.lock = HeldLock(self.stack.worker_lock, self.stack.serves)
        self._left_idle = False
        self._drains = False
        self._ready = threading.Event()
        self._idle_exit = ExitStack()

    def run(self) -> int:
        """Work until told to stop; returns the exit status."""
        if self.settings.embedded_queue:
            # The lock says that the private worker lives; a second worker just helps.
            held = self.lock.take()
            if self.embedded and not held:
                return 0
            if not self.embedded:
                self.stack.ensure_queue()
        ledger = Ledger(self.settings.ledger, pool_size=self.settings.slots + 3)
        try:
            if self.settings.embedded_ledger and ledger.known_schema() != SCHEMA:
                # Its own file: there is nobody to ask, and no other machine to agree with.
                from fimq_migrations.schema import upgrade  # noqa: PLC0415 - needed once

                upgrade(ledger)
            ledger.check_schema()
            return self._work(ledger)
        finally:
            ledger.close()
            self.lock.release()
            if self._left_idle:
                valkey.stop(self.settings.broker_socket)
            self._idle_exit.close()

    def _work(self, ledger: Ledger) -> int:
        settings = self.settings
        app = make_app(settings)
        doorbell = CeleryDoorbell(app)
        measures = Measures()
        store = open_store(settings.store, **settings.store_options)
        store.find()
        with ExitStack() as ends:
            analyst = ends.enter_context(Analyst(settings, ledger, store, measures))
            if settings.metrics is not None:
                looks = Looks(settings, doorbell, analyst.classifiers.facts)
                exporter = Exporter(measures, looks, settings.metrics)
                ends.callback(exporter.close)
                log.info("metrics served", port=exporter.port)

            def facts() -> dict[str, Any]:
                return _facts(settings, analyst)

            worker_id = presence.register(
                ledger, lanes=self.lanes, slots=settings.slots, facts=facts()
            )
            structlog.contextvars.bind_contextvars(worker_id=worker_id)
            holding = Holding(
                ledger,
                worker_id,
                lease=settings.lease_seconds,
                lanes=self.lanes,
                slots=settings.slots,
                facts=facts,
                on_drain=lambda: threading.Thread(target=self._drain, daemon=True).start(),
            )
            runner = StepRunner(settings, ledger, doorbell, holding, analyst, measures=measures)
            app.task(name=TASK, ignore_result=True)(runner.run)
            sweeper = Sweeper(ledger, doorbell, settings, measures)
            housekeeper = Housekeeper(store)
            holding.start()
            sweeper.start()
            housekeeper.start()
            if self.embedded:
                self._watch(ledger, holding)
            else:
                threading.Thread(target=self._warm, args=(analyst,), daemon=True).start()
            try:
                status = self._serve(app, holding)
                # Whoever supervises this process is to start it again.
                return 1 if runner.gpu_lost else status
            finally:
                holding.close()
                housekeeper.end()
                sweeper.end()
                holding.end()
                presence.leave(ledger, worker_id)
                log.info("worker stopped")

    def _drain(self) -> None:
        """Let Celery end, as soon as it answers a SIGTERM: before, that would kill."""
        self._ready.wait()
        os.kill(os.getpid(), signal.SIGTERM)

    def _warm(self, analyst: Analyst) -> None:
        """Load the default model before the first job asks for it; an engine may take minutes."""
        try:
            analyst.warm()
        except FimqError as error:
            # The jobs that need it will fail with the same words.
            log.warning("model not loaded", code=error.code, error=error.message)

    def _serve(self, app: Any, holding: Holding) -> int:
        def stopping(**_: Any) -> None:
            # Called inside a signal handler, where no lock may be waited for.
            if holding.draining and not self._drains:
                # Celery takes no more and waits for what is in work; a SIGTERM of somebody
                # else's still ends that.
                self._drains = True
                return
            threading.Thread(target=holding.close, name="close").start()
            self._force_exit_after_grace()

        def keep_our_logging(**_: Any) -> None:
            """Celery sets no logging up when somebody answers this signal."""

        def ready(**_: Any) -> None:
            # Not before: until now a SIGTERM would not be answered by Celery.
            log.info("worker ready", lanes=self.lanes, slots=self.settings.slots, pid=os.getpid())
            self._ready.set()

        signals.worker_ready.connect(ready, weak=False)
        signals.worker_shutting_down.connect(stopping, weak=False)
        signals.setup_logging.connect(keep_our_logging, weak=False)
        worker = app.Worker(
            pool="threads",
            concurrency=self.settings.slots,
            queues=self.lanes,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            quiet=True,
        )
        worker.start()
        return int(worker.exitcode or 0)

    def _force_exit_after_grace(self) -> None:
        def leave() -> None:
            log.error("grace time over: leases will run out instead")
            os._exit(1)

        timer = threading.Timer(self.settings.grace_seconds, leave)
        timer.daemon = True
        timer.start()

    def _watch(self, ledger: Ledger, holding: Holding) -> None:
        """Keep the private queue running, and leave when there was nothing to do for long."""

        def watch() -> None:
            idle_since = time.monotonic()
            pause = min(5.0, self.settings.idle_seconds / 4)
            while not holding.closes_within(pause):
                try:
                    if not valkey.answers(self.settings.broker_socket):
                        log.warning("the private queue is gone: it is started again")
                        self.stack.ensure_queue()
                    if holding.busy() or self._open_steps(ledger):
                        idle_since = time.monotonic()
                    elif time.monotonic() - idle_since > self.settings.idle_seconds:
                        self._leave(ledger)
                except FimqError as error:
                    log.warning("watch failed", code=error.code, error=error.message)

        threading.Thread(target=watch, name="watch", daemon=True).start()

    def _leave(self, ledger: Ledger) -> None:
        """Stop unless a job came meanwhile."""
        with ExitStack() as lock:
            lock.enter_context(exclusive(self.stack.lock))
            if self._open_steps(ledger):
                return
            log.info("idle: the private worker and queue stop")
            # Held until the process has ended, so that nobody starts in between.
            self._idle_exit = lock.pop_all()
            self._left_idle = True
        os.kill(os.getpid(), signal.SIGTERM)

    def _open_steps(self, ledger: Ledger) -> int:
        with ledger.read() as session:
            return reading.open_steps(session)


def _facts(settings: Settings, analyst: Analyst) -> dict[str, Any]:
    """What this worker is, for `fimq workers`."""
    return {
        "fimq": fimq.__version__,
        "python": platform.python_version(),
        "runtime": settings.runtime,
        "models": analyst.classifiers.facts(),
    }
