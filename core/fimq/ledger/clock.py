"""Time as the database tells it.

Leases are judged by one clock, the database's; a worker whose own clock is wrong can
neither keep nor lose a step by it. `now(seconds)` is an SQL expression.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import expression
from sqlalchemy.types import TypeDecorator

#: SQLite keeps times as text; with one fixed form, text order is time order.
_SQLITE_FORM = "%Y-%m-%d %H:%M:%f000"


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC time: timestamptz in PostgreSQL, sortable text in SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC; SQLite takes it without its zone."""
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the signature is SQLAlchemy's
        """Always aware."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class now(expression.FunctionElement[datetime]):  # noqa: N801 - reads as the SQL function it is
    """The database's time, `seconds` from now (negative: ago)."""

    type = UtcTime()
    inherit_cache = True

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        super().__init__(expression.literal(seconds))


@compiles(now, "sqlite")
def _sqlite(element: now, compiler: Any, **kwargs: Any) -> str:
    seconds = compiler.process(element.clauses, **kwargs)
    return f"strftime('{_SQLITE_FORM}', 'now', ({seconds}) || ' seconds')"


@compiles(now, "postgresql")
def _postgresql(element: now, compiler: Any, **kwargs: Any) -> str:
    seconds = compiler.process(element.clauses, **kwargs)
    return f"(clock_timestamp() + ({seconds}) * interval '1 second')"
