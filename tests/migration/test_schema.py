"""Migrations: up, down, twice, and no drift from the models."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from fimq.errors import LedgerNewer, LedgerOutdated
from fimq.ledger.database import Ledger
from fimq.ledger.tables import SCHEMA, Table
from fimq_migrations import schema


@pytest.fixture
def empty(tmp_path: Path):
    opened = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    yield opened
    opened.close()


def test_up_makes_every_table_and_leaves_no_drift(empty) -> None:
    assert empty.schema() is None
    with pytest.raises(LedgerOutdated):
        empty.check_schema()
    schema.upgrade(empty)
    empty.check_schema()
    assert schema.drift(empty) == []
    assert set(Table.metadata.tables) < set(inspect(empty.engine).get_table_names())


def test_down_removes_what_up_made(empty) -> None:
    schema.upgrade(empty)
    schema.downgrade(empty, "base")
    assert inspect(empty.engine).get_table_names() == ["alembic_version"]
    schema.upgrade(empty)
    assert empty.schema() == SCHEMA


def test_two_upgrades_at_once_are_one(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    both = [
        spawn.Process(target=_upgrade, args=(f"sqlite:///{tmp_path / 'ledger.sqlite3'}",))
        for _ in range(2)
    ]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert [one.exitcode for one in both] == [0, 0]
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    assert ledger.schema() == SCHEMA
    ledger.close()


def _upgrade(url: str) -> None:
    ledger = Ledger(url)
    schema.upgrade(ledger)
    ledger.close()


def test_a_ledger_of_a_later_version_is_left_alone(empty) -> None:
    schema.upgrade(empty)
    with empty.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for use in (empty.check_schema, lambda: schema.upgrade(empty)):
        with pytest.raises(LedgerNewer, match="9999"):
            use()


def test_a_ledger_changed_by_hand_is_noticed(empty) -> None:
    schema.upgrade(empty)
    with empty.engine.begin() as connection:
        connection.execute(text("ALTER TABLE jobs ADD COLUMN extra TEXT"))
    assert schema.drift(empty) != []
