"""The ledger's schema: bring it up to date, take it down again, compare it with the models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from fimq.ledger.database import Ledger
from fimq.ledger.tables import Table


def upgrade(ledger: Ledger, revision: str = "head") -> None:
    """Migrate up, in one transaction. Two at once are safe: the second finds nothing to do.

    Raises:
        LedgerNewer: the database is of a later version; Alembic would not know its revision.
    """
    ledger.known_schema()
    _run(ledger, command.upgrade, revision)


def downgrade(ledger: Ledger, revision: str) -> None:
    """Migrate down to `revision` (`base` removes every table)."""
    _run(ledger, command.downgrade, revision)


def drift(ledger: Ledger) -> list[Any]:
    """Differences between the database and the models; empty where they agree."""
    with ledger.connect() as connection:
        return list(
            compare_metadata(
                MigrationContext.configure(
                    connection, opts={"compare_type": True, "compare_server_default": True}
                ),
                Table.metadata,
            )
        )


def _run(ledger: Ledger, what: Any, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    with ledger.connect() as connection:
        config.attributes["connection"] = connection
        what(config, revision)
