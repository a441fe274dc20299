"""The private stack: queue and worker of one machine, started by whoever needs them.

Starting and stopping happen under one file lock. The worker leaves only under that lock
and only while the ledger has no open step, so that a job which was committed before
`ensure` was called always finds a worker. One that cannot judge on this machine does not
start: who wanted it is told why, and the job waits.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

from fimq.embedded import valkey
from fimq.embedded.locks import exclusive, holder, notes, usable
from fimq.embedded.processes import Watched
from fimq.errors import ServiceError
from fimq.logs import redact
from fimq.settings import PREFIX, Settings, toml_path

_START_SECONDS = 30.0
#: The line of the worker's lock that says that it has loaded what judging takes.
READY = "ready"


class WorkerFailed(ServiceError):
    """The private worker did not start."""

    code = "worker_failed"
    hint = "Jobs are kept; then: fimq up. Its log is worker.log in FIMQ_STATE_DIR. See: fimq doctor"


class WorkerOfAnother(ServiceError):
    """The private worker of this state folder serves another ledger."""

    code = "worker_of_another"
    hint = "Set FIMQ_STATE_DIR together with FIMQ_DATA_DIR, or first: fimq down"


@dataclass(frozen=True, slots=True)
class StackState:
    """What runs."""

    queue: bool
    worker_pid: int | None


class Stack:
    """The private stack of one state folder."""

    def __init__(self, settings: Settings) -> None:
        """Look at nothing yet."""
        self.settings = settings
        self.folder = settings.state_dir
        self.lock = self.folder / "stack.lock"
        self.worker_lock = self.folder / "worker.lock"
        self.worker_log = self.folder / "worker.log"
        #: What the worker's lock says, so that no job waits for a worker of another ledger.
        self.serves = redact(settings.ledger)

    def state(self) -> StackState:
        """What runs now."""
        return StackState(
            queue=valkey.answers(self.settings.broker_socket), worker_pid=holder(self.worker_lock)
        )

    def ensure_queue(self) -> None:
        """Start the private Valkey unless it runs."""
        with exclusive(self.lock):
            self._ensure_queue()

    def ensure(self) -> StackState:
        """Start what is missing. Call it after the job was committed.

        Raises:
            ValkeyMissing, ValkeyFailed, WorkerFailed: what did not start, and where to look.
            StateUnusable: the folder of both cannot be written.
            WorkerOfAnother: the worker that runs would never see this ledger's jobs.
        """
        with exclusive(self.lock):
            self._ensure_queue()
            if holder(self.worker_lock) is None:
                self._start_worker()
            elif (said := notes(self.worker_lock)) and said[0] != self.serves:
                raise WorkerOfAnother(
                    f"the private worker in {self.folder} serves another ledger: {said[0]}"
                )
            return self.state()

    def _ensure_queue(self) -> None:
        if not valkey.answers(self.settings.broker_socket):
            valkey.start(self.settings.broker_socket)

    def _start_worker(self) -> None:
        with usable(self.folder), self.worker_log.open("ab") as log:
            began = log.tell()
            process = subprocess.Popen(
                [sys.executable, "-m", "fimq_worker", "--embedded"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=_environment(self.settings),
                # A folder that is there as long as we are; the caller's may vanish.
                cwd=self.folder,
            )
        deadline = time.monotonic() + _START_SECONDS
        while READY not in notes(self.worker_lock):
            late = time.monotonic() > deadline
            if process.poll() is not None or late:
                if holder(self.worker_lock) is not None:
                    # It still loads, for an engine may take minutes; or another came first.
                    break
                process.kill()
                process.wait()
                # Nobody is left to stop it when idle.
                valkey.stop(self.settings.broker_socket)
                raise WorkerFailed(self._why(began))
            time.sleep(0.02)
        # The worker outlives us; without this, Python warns of a child that still runs.
        process.returncode = 0

    def _why(self, began: int) -> str:
        """What a worker that did not start said in its log."""
        with self.worker_log.open("rb") as log:
            log.seek(began)
            said = log.read().decode(errors="replace").splitlines()
        errors = [line.removeprefix("error: ") for line in said if line.startswith("error: ")]
        return f"the private worker did not start: {errors[-1] if errors else 'see its log'}"

    def stop(self) -> StackState:
        """Stop worker and queue; returns what ran. Claims are given back, nothing is lost."""
        with exclusive(self.lock):
            before = self.state()
            if before.worker_pid:
                self._stop_worker(before.worker_pid)
            valkey.stop(self.settings.broker_socket)
            return before

    def _stop_worker(self, pid: int) -> None:
        with Watched(pid) as worker:
            worker.send(signal.SIGTERM)
            if not worker.ended(self.settings.grace_seconds):
                worker.send(signal.SIGKILL)
                worker.ended(self.settings.grace_seconds)


def _environment(settings: Settings) -> dict[str, str]:
    """The caller's environment, with every place as the caller resolved it."""
    places = settings.places()
    if config := toml_path():
        places["config"] = str(config.absolute())
    return {**os.environ, **{PREFIX + name.upper(): place for name, place in places.items()}}
