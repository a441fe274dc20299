"""SQLite under the ledger: one file, one writer at a time, readers beside it (WAL)."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError

from fimq.errors import LedgerDamaged, LedgerUnreachable, ServiceError

#: Longer than any transaction of ours takes, even on a slow disk under load.
BUSY_TIMEOUT_MS = 30_000
_WRITE = "fimq_write"


def open_engine(url: URL, pool_size: int) -> Engine:
    """An engine on a database file, whose folder is made.

    Raises:
        OSError: the folder cannot be made.
    """
    # What others submitted is nobody else's business on this machine.
    Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=2,
        connect_args={"timeout": BUSY_TIMEOUT_MS / 1000},
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def options(*, write: bool) -> dict[str, Any]:
    """How a transaction begins: a writer takes the lock at once, or waits for it."""
    return {_WRITE: write}


def prepare_migration(connection: Connection) -> None:
    """Nothing: the transaction holds the lock of all writers."""


def meaning(error: DBAPIError) -> type[ServiceError] | None:
    """The file cannot be used, is locked for too long, or is no database."""
    if isinstance(error, OperationalError | InterfaceError):
        return LedgerUnreachable
    # SQLite says so, with no class of its own, of files that are no database.
    return LedgerDamaged if type(error) is DatabaseError else None


def said(error: DBAPIError) -> str:
    """SQLite's words, which are short."""
    return " ".join(str(error.orig).split())


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    # The driver's own BEGIN is off: it would come too late and never IMMEDIATE.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    _write_ahead(cursor)
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _write_ahead(cursor: sqlite3.Cursor) -> None:
    """Turn a new file to WAL. Two that do so at once are told `locked` without any waiting."""
    give_up = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
        else:
            return


def _begin(connection: Connection) -> None:
    write = connection.get_execution_options().get(_WRITE, True)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
