"""`fimq db`."""

from __future__ import annotations

import click

from fimq.errors import LedgerOutdated
from fimq.ledger.database import Ledger
from fimq.ledger.tables import SCHEMA
from fimq.settings import load_settings
from fimq_api.cli.options import Command


@click.group("db")
def db() -> None:
    """The ledger's schema: upgrade, check.

    Example: fimq db check
    """


@db.command("upgrade", cls=Command)
def upgrade() -> None:
    """Bring the ledger to this version's schema.

    Example: fimq db upgrade
    """
    from fimq_migrations import schema  # noqa: PLC0415 - Alembic is slow to import

    ledger = Ledger(load_settings().ledger)
    try:
        before = ledger.schema()
        schema.upgrade(ledger)
        click.echo(f"{ledger.shown}: schema {before or 'none'} -> {ledger.schema()}")
    finally:
        ledger.close()


@db.command("check", cls=Command)
def check() -> None:
    """Say whether the ledger has this version's schema, and matches it.

    Example: fimq db check
    """
    from fimq_migrations import schema  # noqa: PLC0415 - Alembic is slow to import

    ledger = Ledger(load_settings().ledger)
    try:
        ledger.check_schema()
        differences = schema.drift(ledger)
        if differences:
            raise LedgerOutdated(f"the ledger at {ledger.shown} was changed by hand: {differences}")
        click.echo(f"{ledger.shown}: schema {SCHEMA}, as it should be")
    finally:
        ledger.close()
