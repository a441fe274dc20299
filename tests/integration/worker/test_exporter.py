"""`/metrics` where the ledger does not answer: said in a figure, and nobody else waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import update
from structlog.testing import capture_logs

from fimq.ledger import completion, presence
from fimq.ledger.database import Ledger
from fimq.ledger.tables import Video
from fimq.settings import Settings
from fimq_worker import exporter
from fimq_worker.exporter import Looks
from fimq_worker.holding import Holding
from installation import until
from scenes import expire, rows, step_of, submitted, taken, verdict
from services.postgres import PostgresServer


class Bell:
    """A doorbell of an empty queue."""

    def ring(self, step_id: str, lane: str) -> None: ...

    def waiting(self, lane: str) -> int:  # noqa: ARG002 - the signature is the Protocol's
        return 0


@pytest.fixture
def url(postgres: PostgresServer) -> Iterator[str]:
    name = postgres.migrated_database()
    yield postgres.url(name)
    postgres.drop_database(name)


def looks_at(url: str, tmp_path: Path) -> Looks:
    settings = Settings(data_dir=tmp_path, state_dir=tmp_path, ledger_url=SecretStr(url))
    return Looks(settings, Bell(), dict)


def ledger_up(looks: Looks) -> float:
    """What one who looks is told; every figure is asked for."""
    told = {family.name: family for family in looks.collect()}
    assert told["fimq_queue_up"].samples[0].value == 1
    return float(told["fimq_ledger_up"].samples[0].value)


def test_a_heartbeat_does_not_wait_for_those_who_look(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More look than the worker's pool has connections, while somebody holds the jobs."""
    monkeypatch.setattr(exporter, "_PATIENCE_S", 0.1)
    ledger = Ledger(url, pool_size=1)
    worker = presence.register(ledger, lanes=["standard"], slots=1, facts={})
    holding = Holding(ledger, worker, lease=30, lanes=["standard"], slots=1)
    held = holding.take(submitted(ledger)[1])
    assert held
    expire(ledger, held.claim)
    before = step_of(ledger, held.claim.step_id).lease_until
    looks = looks_at(url, tmp_path)
    waiting = (
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() ="
        " ANY (pg_blocking_pids(pid))"
    )
    with ThreadPoolExecutor(8) as pool, psycopg.connect(url) as other:
        other.execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")
        looking = [pool.submit(ledger_up, looks) for _ in range(8)]
        until(lambda: sum(one.done() for one in looking) == 7, "all but one to be told", seconds=10)
        holding.beat()
        assert other.execute(waiting).fetchall() == [(1,)]
        other.rollback()
        assert sorted(one.result() for one in looking) == [0] * 7 + [1]
    after = step_of(ledger, held.claim.step_id).lease_until
    assert before
    assert after
    assert after > before
    looks.close()
    ledger.close()


def test_who_looks_a_moment_later_gets_the_same_answer(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter, "_FRESH_S", 60)
    looks = looks_at(url, tmp_path)
    assert ledger_up(looks) == 1
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")
        assert ledger_up(looks) == 1
    looks.close()


def test_a_row_that_cannot_be_read_is_one_line_and_a_figure(url: str, tmp_path: Path) -> None:
    ledger = Ledger(url)
    held = taken(ledger, submitted(ledger)[1])
    assert completion.complete_job(ledger, held, verdict, rows=rows(0), samples=1)
    with ledger.write() as session:
        # As a version before this one wrote it.
        session.execute(update(Video).values(probe={"duration_s": 1.0, "title": "\0"}))
    looks = looks_at(url, tmp_path)
    with capture_logs() as log:
        assert ledger_up(looks) == 0
    assert [line["event"] for line in log] == ["no metrics of the ledger"]
    looks.close()
    ledger.close()


def test_a_ledger_that_is_no_database_is_one_line_and_a_figure(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite3").write_bytes(b"no database" * 1000)
    looks = looks_at(f"sqlite:///{tmp_path / 'ledger.sqlite3'}", tmp_path)
    with capture_logs() as log:
        assert ledger_up(looks) == 0
    assert [(line["event"], line["code"]) for line in log] == [
        ("no metrics of the ledger", "ledger_damaged")
    ]
    looks.close()
