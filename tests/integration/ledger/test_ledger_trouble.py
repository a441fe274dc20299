"""A ledger that cannot be used says why, with a code and without a secret."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fimq.errors import LedgerDamaged, LedgerUnreachable, ServiceError
from fimq.ledger import reading
from fimq.ledger.database import Ledger
from fimq.settings import SettingsInvalid
from fimq_migrations import schema


def _ask(ledger: Ledger) -> None:
    with ledger.read() as session:
        reading.open_steps(session)


@pytest.mark.parametrize("use", [Ledger.schema, schema.upgrade, schema.drift, _ask])
def test_a_file_that_is_no_database_is_not_taken_for_an_empty_one(
    tmp_path: Path, use: Callable[[Ledger], object]
) -> None:
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes(b"this was a ledger once " * 100)
    ledger = Ledger(f"sqlite:///{path}")
    with pytest.raises(LedgerDamaged, match=str(path)):
        use(ledger)
    ledger.close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"")
    with pytest.raises(LedgerUnreachable, match=str(tmp_path / "data")):
        Ledger(f"sqlite:///{tmp_path / 'data' / 'ledger.sqlite3'}")


def test_a_url_of_no_database_is_refused_as_the_setting_is() -> None:
    with pytest.raises(SettingsInvalid, match="FIMQ_LEDGER_URL") as caught:
        Ledger("nosuch://user:hunter2@db/fimq")
    assert "hunter2" not in caught.value.message


def test_more_threads_than_connections_wait_and_are_told(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite3'}", pool_size=1)
    ledger.engine.pool._timeout = 0.1  # type: ignore[attr-defined]
    sessions = [ledger.read() for _ in range(3)]
    with sessions[0] as first, sessions[1] as second, sessions[2] as third:
        first.connection()
        second.connection()
        third.connection()
        with pytest.raises(ServiceError, match="busy"), ledger.read() as one_too_many:
            one_too_many.connection()
    ledger.close()
