"""The database behind the ledger: engine, sessions, schema check.

`Ledger.write()` is a transaction that decides something; on SQLite it takes the write lock
at once (BEGIN IMMEDIATE), so that a decision never fails half-way for a lock. `read()` is a
consistent view: one moment, however many questions. What each database needs for that is in
the rooms `sqlite` and `postgres`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from sqlalchemy import URL, Connection, Engine, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from fimq import addresses
from fimq.errors import LedgerNewer, LedgerOutdated, LedgerUnreachable, ServiceError
from fimq.ledger import postgres, sqlite
from fimq.ledger.tables import SCHEMA
from fimq.logs import redact
from fimq.settings import SettingsInvalid


class Database(Protocol):
    """What a kind of database does in its own way; a module each."""

    def open_engine(self, url: URL, pool_size: int) -> Engine:
        """An engine; nothing is connected before the first transaction."""

    def options(self, *, write: bool) -> dict[str, Any]:
        """How a transaction begins, as SQLAlchemy's execution options."""

    def prepare_migration(self, connection: Connection) -> None:
        """Make a transaction the only one that migrates."""

    def meaning(self, error: DBAPIError) -> type[ServiceError] | None:
        """What an error says of the database; None where it is a fault of ours."""

    def said(self, error: DBAPIError) -> str:
        """The driver's words, in one short line; the whole is the error's cause."""


class Ledger:
    """One database, opened once a process."""

    def __init__(self, url: str, *, pool_size: int = 5) -> None:
        """Open the engine; nothing is connected before the first transaction.

        Args:
            url: of the database; postgres:// and postgresql:// are the same.
            pool_size: transactions that may be open at once; two more in a rush.

        Raises:
            SettingsInvalid: the URL is none of a ledger's.
            LedgerUnreachable: its folder cannot be made.
            LedgerDriverMissing: it is on PostgreSQL, and psycopg is not installed.
        """
        try:
            self.url = make_url(addresses.ledger_url(url))
            self._database = _kind(self.url)
            self.engine = self._database.open_engine(self.url, pool_size)
        except (ArgumentError, ValueError) as error:
            raise SettingsInvalid(f"FIMQ_LEDGER_URL: {error}") from error
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
        """A transaction on the bare connection, for migrations: one at a time."""
        with self._translated(), self.engine.begin() as connection:
            self._database.prepare_migration(connection)
            yield connection

    def _session(self, *, write: bool) -> Session:
        engine = self.engine.execution_options(**self._database.options(write=write))
        return Session(engine, expire_on_commit=False)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except PoolTimeout as error:
            raise LedgerUnreachable(f"the ledger at {self.shown} is too busy") from error
        except DBAPIError as error:
            if (meaning := self._database.meaning(error)) is None:
                raise
            why = self._database.said(error)
            raise meaning(f"cannot use the ledger at {self.shown}: {why}") from error

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


def _kind(url: URL) -> Database:
    return postgres if url.get_backend_name() in postgres.NAMES else sqlite
