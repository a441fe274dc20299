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

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from fimq.errors import LedgerOutdated, LedgerUnreachable
from fimq.ledger.tables import SCHEMA
from fimq.logs import redact

#: Longer than any transaction of ours takes, even on a slow disk under load.
BUSY_TIMEOUT_MS = 30_000
_WRITE = "fimq_write"


class Ledger:
    """One database, opened once a process."""

    def __init__(self, url: str, *, pool_size: int = 5) -> None:
        """Open the engine; nothing is connected before the first transaction."""
        self.url = make_url(url)
        self.engine = _engine(url, pool_size)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that may write; committed at the end, rolled back on any error."""
        with self._session(write=True) as session, session.begin():
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent view of the ledger."""
        with self._session(write=False) as session:
            yield session

    @contextmanager
    def _session(self, *, write: bool) -> Iterator[Session]:
        try:
            engine = self.engine.execution_options(**{_WRITE: write})
            with Session(engine, expire_on_commit=False) as session:
                yield session
        except OperationalError as error:
            raise LedgerUnreachable(
                f"cannot use the ledger at {self.shown}: {error.orig}"
            ) from error

    @property
    def shown(self) -> str:
        """The ledger's URL without its password."""
        return redact(self.url.render_as_string(hide_password=True))

    def schema(self) -> str | None:
        """The schema that the database has, or None for an empty one."""
        with self.read() as session:
            try:
                found = session.execute(text("SELECT version_num FROM alembic_version")).scalar()
            except SQLAlchemyError as error:
                if "alembic_version" in str(error):
                    return None
                raise
        return None if found is None else str(found)

    def check_schema(self) -> None:
        """Raise `LedgerOutdated` unless the database has this version's schema."""
        found = self.schema()
        if found != SCHEMA:
            raise LedgerOutdated(
                f"the ledger at {self.shown} has schema {found or 'none'}, this fimq needs {SCHEMA}"
            )

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _engine(url: str, pool_size: int) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(url, pool_size=pool_size, max_overflow=2, pool_pre_ping=True)
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})
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
