"""Migrations: up, down, one by one, twice at once, and no drift from the models."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text

import fimq_migrations
from fimq.errors import LedgerNewer, LedgerOutdated
from fimq.ledger.database import Ledger
from fimq.ledger.tables import SCHEMA, Table
from fimq_migrations import schema
from installation import until
from services.postgres import PostgresServer


@pytest.fixture
def empty(database: str) -> Iterator[Ledger]:
    opened = Ledger(database)
    yield opened
    opened.close()


def revisions() -> list[str]:
    """Every revision, the oldest first."""
    config = Config()
    config.set_main_option("script_location", str(Path(fimq_migrations.__file__).parent))
    config.set_main_option("path_separator", "os")
    walked = ScriptDirectory.from_config(config).walk_revisions()
    return [revision.revision for revision in walked][::-1]


def shape(engine: Engine) -> dict[str, Any]:
    """Everything that a database says of its tables, but for the order of their columns."""
    seen = inspect(engine)
    names = sorted(set(seen.get_table_names()) - {"alembic_version"})
    return {
        name: {
            "columns": {
                column["name"]: (str(column["type"]), column["nullable"], column["default"])
                for column in seen.get_columns(name)
            },
            "key": seen.get_pk_constraint(name),
            "unique": _by_name(seen.get_unique_constraints(name)),
            "foreign": _by_name(seen.get_foreign_keys(name)),
            "indexes": _by_name(seen.get_indexes(name)),
            "checks": _by_name(seen.get_check_constraints(name)),
        }
        for name in names
    }


def _by_name(found: Any) -> list[dict[str, Any]]:
    return sorted((dict(one) for one in found), key=lambda one: str(one["name"]))


def test_up_makes_every_table_and_leaves_no_drift(empty: Ledger) -> None:
    assert empty.schema() is None
    with pytest.raises(LedgerOutdated):
        empty.check_schema()
    schema.upgrade(empty)
    empty.check_schema()
    assert schema.drift(empty) == []
    assert set(Table.metadata.tables) < set(inspect(empty.engine).get_table_names())


def test_what_was_migrated_is_what_the_models_would_make(empty: Ledger) -> None:
    Table.metadata.create_all(empty.engine)
    wanted = shape(empty.engine)
    Table.metadata.drop_all(empty.engine)
    schema.upgrade(empty)
    assert shape(empty.engine) == wanted


def test_down_removes_what_up_made(empty: Ledger) -> None:
    schema.upgrade(empty)
    schema.downgrade(empty, "base")
    assert inspect(empty.engine).get_table_names() == ["alembic_version"]
    schema.upgrade(empty)
    assert empty.schema() == SCHEMA
    assert schema.drift(empty) == []


def test_each_revision_can_be_taken_back_and_made_again(empty: Ledger) -> None:
    known = revisions()
    assert known[-1] == SCHEMA
    before: dict[str, Any] = {}
    for previous, revision in zip(["base", *known], known, strict=False):
        schema.upgrade(empty, revision)
        made = shape(empty.engine)
        schema.downgrade(empty, previous)
        assert shape(empty.engine) == before, revision
        schema.upgrade(empty, revision)
        assert shape(empty.engine) == made, revision
        before = made
    assert schema.drift(empty) == []


def test_two_upgrades_at_once_are_one(empty: Ledger, database: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(2)
    both = [spawn.Process(target=_upgrade, args=(database, barrier)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert [one.exitcode for one in both] == [0, 0]
    assert empty.schema() == SCHEMA


def _upgrade(url: str, barrier: Any) -> None:
    ledger = Ledger(url)
    barrier.wait()
    schema.upgrade(ledger)
    ledger.close()


def test_workers_are_seen_while_the_jobs_get_their_index(postgres: PostgresServer) -> None:
    """It takes long where there are many jobs; here it waits for one who writes a job."""
    name = postgres.create_database()
    ledger = Ledger(postgres.url(name))
    schema.upgrade(ledger, "0001")
    upgrade = threading.Thread(target=schema.upgrade, args=(ledger, "0002"))
    blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    with psycopg.connect(postgres.url(name)) as writer:
        writer.execute("LOCK TABLE jobs IN ROW EXCLUSIVE MODE")
        upgrade.start()
        until(lambda: postgres.execute(blocked, name) != [(0,)], "the upgrade to wait", seconds=20)
        writer.execute("LOCK TABLE workers IN ROW EXCLUSIVE MODE NOWAIT")
    upgrade.join()
    assert ledger.schema() == "0002"
    ledger.close()
    postgres.drop_database(name)


def test_a_ledger_of_a_later_version_is_left_alone(empty: Ledger) -> None:
    schema.upgrade(empty)
    with empty.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for use in (empty.check_schema, lambda: schema.upgrade(empty)):
        with pytest.raises(LedgerNewer, match="9999"):
            use()


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE jobs ADD COLUMN extra TEXT",
        "DROP INDEX ix_jobs_state_lane",
        "CREATE UNIQUE INDEX mine ON jobs (name)",
    ],
)
def test_a_ledger_changed_by_hand_is_noticed(empty: Ledger, change: str) -> None:
    schema.upgrade(empty)
    with empty.engine.begin() as connection:
        connection.execute(text(change))
    assert schema.drift(empty) != []
