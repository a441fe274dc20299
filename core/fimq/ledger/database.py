"""The database behind the ledger: engine, sessions, schema check.

`Ledger.write()` is a transaction that decides something; on SQLite it takes the write lock
at once (BEGIN IMMEDIATE), so that a decision never fails half-way for a lock. `read()` is a
consistent view. Nobody waits for a row lock: losers get zero rows and go away.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from fimq.errors import LedgerDamaged, LedgerNewer, LedgerOutdated, LedgerUnreachable
from fimq.ledger.tables import SCHEMA
from fimq.logs import redact

#: Longer than any transaction of ours takes, even on a slow disk under load.
BUSY_TIMEOUT_MS = 30_000
_WRITE = "fimq_write"


class Ledger:
    """One database, opened once a process."""

    def __init__(self, url: str, *, pool_size: int = 5) -> None:
        """Open the engine; nothing is connected before the first transaction.

        Raises:
            LedgerUnreachable: the URL names no database that this installation can use.
        """
        try:
            self.url = make_url(url)
            self.engine = _engine(self.url, pool_size)
        except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
            # The error of a URL that cannot be read may quote it; its secrets go nowhere.
            why = error if isinstance(error, ImportError) else type(error).__name__
            raise LedgerUnreachable(f"FIMQ_LEDGER_URL cannot be used ({why})") from error
        except OSError as error:
            raise LedgerUnreachable(f"cannot make the ledger's folder: {error}") from error

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that may write; committed at the end, rolled back on any error."""
        with self._translated(), self._session(write=True) as session, session.begin():
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent view of the ledger."""
        with self._translated(), self._session(write=False) as session:
            yield session

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A transaction on the bare connection, for migrations."""
        with self._translated(), self.engine.begin() as connection:
            yield connection

    def _session(self, *, write: bool) -> Session:
        engine = self.engine.execution_options(**{_WRITE: write})
        return Session(engine, expire_on_commit=False)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, InterfaceError) as error:
            raise LedgerUnreachable(
                f"cannot use the ledger at {self.shown}: {error.orig}"
            ) from error
        except PoolTimeout as error:
            raise LedgerUnreachable(f"the ledger at {self.shown} is too busy") from error
        except DatabaseError as error:
            # SQLite says so, with no class of its own, of files that are no database.
            if type(error) is DatabaseError:
                raise LedgerDamaged(f"the ledger at {self.shown}: {error.orig}") from error
            raise

    @property
    def shown(self) -> str:
        """The ledger's URL without its password."""
        return redact(self.url.render_as_string(hide_password=True))

    def schema(self) -> str | None:
        """The schema that the database has, or None for an empty one."""
        with self.read() as session:
            if not inspect(session.connection()).has_table("alembic_version"):
                return None
            found = session.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return None if found is None else str(found)

    def known_schema(self) -> str | None:
        """As `schema`, but never one that this version does not know.

        Raises:
            LedgerNewer: the database was made by a version after this.
        """
        found = self.schema()
        if found is not None and found > SCHEMA:
            raise LedgerNewer(
                f"the ledger at {self.shown} has schema {found}, this fimq knows up to {SCHEMA}"
            )
        return found

    def check_schema(self) -> None:
        """Return if the database has this version's schema.

        Raises:
            LedgerOutdated: it has an older one, or none.
            LedgerNewer: it was made by a version after this.
        """
        if (found := self.known_schema()) != SCHEMA:
            raise LedgerOutdated(
                f"the ledger at {self.shown} has schema {found or 'none'}, this fimq needs {SCHEMA}"
            )

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _engine(url: URL, pool_size: int) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_size=pool_size, max_overflow=2, pool_pre_ping=True)
    if url.database in {None, "", ":memory:"}:
        raise ArgumentError("a ledger in memory would end with its process")
    # What others submitted is nobody else's business on this machine.
    Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=2,
        connect_args={"timeout": BUSY_TIMEOUT_MS / 1000},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # The driver's own BEGIN is off: it would come too late and never IMMEDIATE.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get(_WRITE, True)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
