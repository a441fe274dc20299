"""An installation of one's own: the real command, the real queue, a tiny real model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from fimq.embedded.locks import holder
from fimq.ledger.database import Ledger
from fimq.ledger.tables import Job, Step

PATIENCE_S = 120


@dataclass
class Installation:
    """fimq as a user has it, in folders that end with the test."""

    folder: Path
    state_dir: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    def start(self, *arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "fimq_api", *map(str, arguments)],
            env=self.environment,
            cwd=self.folder,
            text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options,
        )

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            pytest.fail(f"{arguments} did not end:\n{out}\n{err}\n{self.log()}")
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def documents(self, *arguments: str | Path) -> list[dict[str, Any]]:
        """Run with `--json`; one document a line."""
        ran = self.run(*arguments, "--json")
        return [json.loads(line) for line in ran.stdout.splitlines()]

    def judge(self, *files: Path, options: tuple[str, ...] = ()) -> list[dict[str, Any]]:
        return self.documents("submit", *files, "--wait", *options)

    def log(self) -> str:
        path = self.state_dir / "worker.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def worker_logs(self) -> list[Path]:
        """What each worker of `worker_of` said, in the order of their starts."""
        return sorted(self.folder.glob("worker-*.txt"))

    def ledger(self) -> Ledger:
        embedded = f"sqlite:///{self.data_dir / 'ledger.sqlite3'}"
        return Ledger(self.environment.get("FIMQ_LEDGER_URL", embedded))

    @property
    def worker_pid(self) -> int | None:
        return holder(self.state_dir / "worker.lock")

    def job(self, job_id: str) -> Job:
        """A job's row, now."""
        return self.rows(Job, id=job_id)[0]

    def steps(self, job_id: str) -> list[Step]:
        """A job's steps, now."""
        return self.rows(Step, job_id=job_id)

    def rows(self, table: Any, **where: Any) -> list[Any]:
        """Rows of the ledger, now."""
        ledger = self.ledger()
        try:
            with ledger.read() as session:
                found = list(session.scalars(select(table).filter_by(**where)))
                session.expunge_all()
                return found
        finally:
            ledger.close()

    def processes(self) -> list[int]:
        """Every process of this installation, by its state folder in the environment."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                known = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if state != "Z" and str(self.state_dir).encode() in known:
                found.append(int(entry.name))
        return found


@contextmanager
def worker_of(installation: Installation, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`fimq worker`, in the foreground, until it is ready and to the end of the test."""
    path = installation.folder / f"worker-{len(installation.worker_logs())}.txt"
    with path.open("w") as log:
        process = installation.start("worker", *arguments, stdout=log, stderr=log)
    try:
        until(lambda: "worker ready" in path.read_text() or process.poll(), "the worker")
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def children(pid: int) -> list[int]:
    """The decode children of a worker; they have no environment to be known by."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (facts := _stat(entry)) and facts[1] == str(pid):
            command = (entry / "cmdline").read_bytes()
            found += [int(entry.name)] * (b"fimq_worker.child" in command)
    return found


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be buried does not."""
    facts = _stat(Path(f"/proc/{pid}"))
    return facts is not None and facts[0] != "Z"


def _stat(entry: Path) -> list[str] | None:
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def until(met: Callable[[], Any], what: str, seconds: float = PATIENCE_S) -> Any:
    """Wait for something that other processes bring about, looking often."""
    deadline = time.monotonic() + seconds
    while not (answer := met()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds} s in vain for {what}")
        time.sleep(0.02)
    return answer


@contextmanager
def installed(folder: Path, face_models: Path, **settings: str) -> Iterator[Installation]:
    """An installation in `folder`, stopped in the end. Its models lie in `models` there."""
    # A short path: that of a Unix socket has 107 characters.
    with tempfile.TemporaryDirectory(prefix="fimq-") as state_dir:
        made = Installation(folder, Path(state_dir))
        made.environment = _environment(made, face_models) | settings
        yield made
        if "FIMQ_BROKER_URL" not in made.environment:
            made.run("down")
        for pid in made.processes():
            os.kill(pid, signal.SIGKILL)


def _environment(made: Installation, face_models: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("FIMQ_")},
        "FIMQ_DATA_DIR": str(made.data_dir),
        "FIMQ_STATE_DIR": str(made.state_dir),
        "FIMQ_MODELS_DIR": str(made.folder / "models"),
        "FIMQ_FACE_MODELS_DIR": str(face_models),
        "FIMQ_LEASE_SECONDS": "3",
        "FIMQ_SWEEP_SECONDS": "0.5",
        "FIMQ_RETRY_SECONDS": "0",
        "FIMQ_RING_SECONDS": "2",
        "FIMQ_SLOTS": "2",
        "COLUMNS": "80",
        "NO_COLOR": "1",
    }
