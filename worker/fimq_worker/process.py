"""The worker process: Celery takes the doorbells, threads run the steps.

It composes what the other rooms make: ledger, holding, sweeper, analyst, runner. Order of
the start: it is entered among the workers as starting, then loads what judging takes, or
refuses to start; only then it takes work. Order of the end: no new claims, children
cancelled, claims given back, threads joined, row left.
"""

from __future__ import annotations

import os
import platform
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from types import FrameType
from typing import Any, Final

import structlog
from celery import Celery

import fimq
from fimq.doorbell import TASK, CeleryDoorbell, make_app
from fimq.embedded import valkey
from fimq.embedded.locks import HeldLock, exclusive
from fimq.embedded.stack import READY, Stack
from fimq.errors import FimqError
from fimq.ledger import presence, reading
from fimq.ledger.database import Ledger
from fimq.ledger.tables import SCHEMA
from fimq.settings import Settings
from fimq.store.base import open_store
from fimq_worker.exporter import Exporter, Looks
from fimq_worker.holding import Holding
from fimq_worker.housekeeper import Housekeeper
from fimq_worker.listener import Listener, end_soon
from fimq_worker.loading import Loading, StoppedEarly
from fimq_worker.measures import Measures
from fimq_worker.reach import Reach
from fimq_worker.steps.analysis import Analyst
from fimq_worker.steps.cutter import faces_of
from fimq_worker.steps.runner import StepRunner
from fimq_worker.sweeper import Sweeper

#: The exit status after each signal that ends a worker.
_STOPS: Final = {signal.SIGTERM: 0, signal.SIGHUP: 0, signal.SIGINT: 130}

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
        self._starting = True
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
        reach = Reach(settings.broker)
        store = open_store(settings.store, **settings.store_options)
        store.find()
        with ExitStack() as ends:
            analyst = ends.enter_context(Analyst(settings, ledger, store, measures))
            if settings.metrics is not None:
                looks = Looks(settings, doorbell, analyst.classifiers.facts)
                exporter = Exporter(measures, looks, settings.metrics)
                ends.callback(exporter.close)
                log.info("metrics served", url=exporter.url)
            loading = Loading(settings, analyst)

            def facts() -> dict[str, Any]:
                return _facts(settings, analyst, starting=self._starting)

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
                on_drain=lambda: os.kill(os.getpid(), signal.SIGTERM),
            )
            self._answer_signals(holding, loading)
            holding.start()
            try:
                loading.wait()
                self.lock.add(READY)
                self._starting = False
                presence.seen(ledger, worker_id, facts(), lanes=self.lanes, slots=settings.slots)
                runner = StepRunner(
                    settings, ledger, doorbell, holding, analyst, measures=measures, reach=reach
                )
                app.task(name=TASK, ignore_result=True)(runner.run)
                sweeper = Sweeper(ledger, doorbell, settings, measures, reach)
                status = self._serve(app, reach, holding, sweeper, Housekeeper(store))
            except StoppedEarly as stopped:
                early = stopped.status
            else:
                # Whoever supervises this process is to start it again.
                return 1 if runner.unfit else status
            finally:
                holding.close()
                holding.end()
                presence.leave(ledger, worker_id)
                log.info("worker stopped")
            # What is still being loaded is not waited for.
            os._exit(early)

    def _answer_signals(self, holding: Holding, loading: Loading) -> None:
        """From now on a signal ends the work instead of the process."""

        def stop(number: int, _frame: FrameType | None) -> None:
            # Inside a signal's handler no lock may be waited for.
            status = _STOPS[signal.Signals(number)]
            loading.stop(status)
            end_soon(status)
            if holding.draining and not self._drains:
                # The listener takes no more and waits for what is in work; a SIGTERM of
                # somebody else's still ends that.
                self._drains = True
                return
            threading.Thread(target=holding.close, name="close").start()
            self._force_exit_after_grace()

        for number in _STOPS:
            # Who started us may want one to be ignored, as nohup does.
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, stop)

    def _serve(
        self,
        app: Celery,
        reach: Reach,
        holding: Holding,
        sweeper: Sweeper,
        housekeeper: Housekeeper,
    ) -> int:
        def ready() -> None:
            log.info("worker ready", lanes=self.lanes, slots=self.settings.slots, pid=os.getpid())

        sweeper.start()
        housekeeper.start()
        if self.embedded:
            self._watch(sweeper.ledger, holding)
        try:
            slots = self.settings.slots
            return Listener(app, reach, lanes=self.lanes, slots=slots, on_ready=ready).listen()
        finally:
            holding.close()
            housekeeper.end()
            sweeper.end()

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


def _facts(settings: Settings, analyst: Analyst, *, starting: bool) -> dict[str, Any]:
    """What this worker is, for `fimq workers`."""
    return {
        **({presence.STARTING: True} if starting else {}),
        "fimq": fimq.__version__,
        "python": platform.python_version(),
        "runtime": settings.runtime,
        "models": analyst.classifiers.facts(),
        "faces": faces_of(settings),
    }
