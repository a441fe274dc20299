"""PostgreSQL under the ledger: for several machines, by psycopg 3.

Nothing waits for ever: not for a server that is gone, not for a lock, and no transaction
keeps its locks when its worker's machine has vanished. A parameter in the URL comes before
what is set here; docs/how-to/postgres.md says what for.
"""

from __future__ import annotations

import importlib.util
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from fimq.errors import LedgerDriverMissing, LedgerUnreachable, ServiceError

#: The names under which this database is known in URLs.
NAMES = ("postgresql", "postgres")
_DRIVER = "postgresql+psycopg"

#: Limits of a session, in milliseconds. A lock is held for one short transaction; the longest
#: one judges a video of 12 hours, and computes between two statements.
_LIMITS_MS = {
    "statement_timeout": 60_000,
    "lock_timeout": 15_000,
    "idle_in_transaction_session_timeout": 300_000,
}
#: In seconds: how soon either side notices that the other's machine has vanished. A server
#: that does not ask keeps the locks of such a machine for two hours.
_KEEPALIVES = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}
_SERVER_SETTINGS = _LIMITS_MS | {f"tcp_{name}": value for name, value in _KEEPALIVES.items()}

_CONNECT: dict[str, Any] = {
    "application_name": "fimq",
    "connect_timeout": 10,
    "tcp_user_timeout": 30_000,
    "options": " ".join(f"-c {name}={value}" for name, value in _SERVER_SETTINGS.items()),
    **_KEEPALIVES,
}
#: Prepared statements make the rows of a long video three times as fast to write. A pooler
#: that cannot carry them needs `off` in the URL.
_PREPARE = "prepare_threshold"

#: One upgrade at a time: the number is fimq's own.
_MIGRATION_LOCK = 0x66696D71

#: SQLSTATEs that speak of the server, yet come as no OperationalError: it is read only (a
#: standby), we idled in a transaction, may not use a table, no such database, its own fault.
_SERVER_STATES = ("25006", "25P03", "42501", "3D000", "XX")


def open_engine(url: URL, pool_size: int) -> Engine:
    """An engine on a server; nothing is connected yet.

    Raises:
        LedgerDriverMissing: psycopg, or the libpq that it needs, is not installed.
        ValueError: the URL has a parameter that libpq does not know.
    """
    url = url.set(drivername=_DRIVER)
    if importlib.util.find_spec("psycopg") is None:
        raise LedgerDriverMissing
    own = {name: value for name, value in _CONNECT.items() if name not in url.query}
    if url.query.get(_PREPARE) == "off":
        own[_PREPARE] = None
    try:
        _check_parameters(url)
        return create_engine(
            url.difference_update_query([_PREPARE]),
            pool_size=pool_size,
            max_overflow=2,
            # A connection that was cut while it lay in the pool is replaced unseen.
            pool_pre_ping=True,
            connect_args=own,
        )
    except ImportError as error:
        raise LedgerDriverMissing(f"psycopg cannot be used: {error}".splitlines()[0]) from error


def _check_parameters(url: URL) -> None:
    # libpq would quote it in the first transaction: it may be the end of a password.
    from psycopg.pq import Conninfo  # noqa: PLC0415 - only who uses PostgreSQL has it

    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    if set(url.query) - known - {_PREPARE}:
        raise ValueError("it has a parameter that PostgreSQL's libpq does not know")


def options(*, write: bool) -> dict[str, Any]:
    """How a transaction begins: a reader sees one moment through all its questions."""
    if write:
        return {"isolation_level": "READ COMMITTED"}
    return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


def prepare_migration(connection: Connection) -> None:
    """Wait for another upgrade to end; then migrate without a limit on statements.

    The limit on locks stays: an upgrade that cannot get a table fails, and may be repeated,
    while one that waits would keep everybody else waiting behind it.
    """
    for statement in (
        "SET LOCAL lock_timeout = 0",
        "SET LOCAL statement_timeout = 0",
        "SET LOCAL idle_in_transaction_session_timeout = 0",
        f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})",
        f"SET LOCAL lock_timeout = {_LIMITS_MS['lock_timeout']}",
    ):
        connection.execute(text(statement))


def meaning(error: DBAPIError) -> type[ServiceError] | None:
    """The server is away, refuses, or gave up: the same request may pass later."""
    state = getattr(error.orig, "sqlstate", None) or ""
    known = isinstance(error, OperationalError | InterfaceError)
    if known or error.connection_invalidated or state.startswith(_SERVER_STATES):
        return LedgerUnreachable
    return None


def said(error: DBAPIError) -> str:
    """What went wrong, without libpq's question, its advice and the other addresses it tried."""
    first = next(iter(str(error.orig).strip().splitlines()), type(error.orig).__name__)
    # Before that stands what it was connecting to, which the ledger's URL says.
    return " ".join(first.rpartition(" failed: ")[2].split()).removeprefix("FATAL: ")
