"""PostgreSQL in its moods: restarted, locked, read only, forbidden; and what an operator sees."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import select, text, update
from structlog.testing import capture_logs

from fimq.errors import LedgerDriverMissing, LedgerUnreachable
from fimq.ledger import completion, presence
from fimq.ledger.clock import now
from fimq.ledger.database import Ledger
from fimq.ledger.submission import Request
from fimq.ledger.tables import Job, Step, Worker
from fimq.settings import Settings, SettingsInvalid
from fimq_api.cli.main import main
from fimq_worker.holding import Holding
from fimq_worker.measures import Measures
from fimq_worker.reach import Reach
from fimq_worker.sweeper import Sweeper
from installation import until
from scenes import all_of, job_of, step_of, submitted, taken
from services.postgres import PostgresServer
from threads import running


@pytest.fixture(scope="module")
def server(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """A server that may be ended, beside that of the other tests. It keeps its promises."""
    made = PostgresServer.start(durable=True)
    yield made
    made.stop()


@pytest.fixture
def name(server: PostgresServer) -> Iterator[str]:
    made = server.migrated_database()
    yield made
    server.drop_database(made)


@pytest.fixture
def ledger(server: PostgresServer, name: str) -> Iterator[Ledger]:
    opened = Ledger(server.url(name))
    yield opened
    opened.close()


def limited(server: PostgresServer, name: str, options: str) -> Ledger:
    """A ledger whose URL says more."""
    return Ledger(f"{server.url(name)}?options=-c%20{options}")


class TestUrl:
    @pytest.mark.parametrize("driver", ["postgresql", "postgres", "postgresql+psycopg"])
    def test_every_way_to_write_it_is_the_same(
        self, server: PostgresServer, name: str, driver: str
    ) -> None:
        ledger = Ledger(server.url(name, driver=driver))
        ledger.check_schema()
        assert "secret" not in ledger.shown
        ledger.close()

    def test_over_a_socket(self, server: PostgresServer, name: str) -> None:
        ledger = Ledger(server.socket_url(name))
        ledger.check_schema()
        ledger.close()

    def test_a_parameter_that_nobody_knows_is_refused_and_not_repeated(self) -> None:
        with pytest.raises(SettingsInvalid, match="FIMQ_LEDGER_URL") as caught:
            Ledger("postgresql://fimq@db/fimq?password=long&secret=x")
        assert "secret" not in caught.value.message

    def test_without_psycopg_one_line_says_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        monkeypatch.setitem(sys.modules, "psycopg", None)
        with pytest.raises(LedgerDriverMissing):
            Ledger("postgresql://db/fimq")
        monkeypatch.setenv("FIMQ_LEDGER_URL", "postgresql://db/fimq")
        monkeypatch.setenv("FIMQ_DATA_DIR", str(tmp_path))
        with pytest.raises(SystemExit) as ended:
            main(["list"])
        assert ended.value.code == 5
        assert "pip install 'fimq[postgres]'" in capsys.readouterr().err

    def test_a_session_is_named_and_limited_unless_the_url_says_otherwise(
        self, server: PostgresServer, name: str
    ) -> None:
        def shown(ledger: Ledger) -> list[str]:
            names = ("application_name", "lock_timeout", "idle_in_transaction_session_timeout")
            with ledger.read() as session:
                found = [str(session.scalar(text(f"SHOW {one}"))) for one in names]
            ledger.close()
            return found

        assert shown(Ledger(server.url(name))) == ["fimq", "15s", "5min"]
        own = Ledger(f"{server.url(name)}?application_name=desk&options=-c%20lock_timeout%3D7s")
        assert shown(own) == ["desk", "7s", "0"]

    @pytest.mark.parametrize(("more", "prepared"), [("", True), ("?prepare_threshold=off", False)])
    def test_statements_are_prepared_unless_a_pooler_forbids_it(
        self, server: PostgresServer, name: str, more: str, prepared: bool
    ) -> None:
        ledger = Ledger(server.url(name) + more)
        for _ in range(10):
            submitted(ledger, request=Request(rescan=True))
        with ledger.read() as session:
            kept = session.scalar(text("SELECT count(*) FROM pg_prepared_statements"))
        assert bool(kept) == prepared
        ledger.close()


def _write_twice(ledger: Ledger, meanwhile: Callable[[], object]) -> None:
    with ledger.write() as session:
        session.execute(update(Job).values(segments=7))
        meanwhile()
        session.execute(update(Job).values(segments=8))


def _lock_both(ledger: Ledger, first: str, second: str, meanwhile: Callable[[], object]) -> None:
    with ledger.write() as session:
        for job in (first, second):
            session.execute(select(Job.id).where(Job.id == job).with_for_update())
            if job == first:
                meanwhile()


class TestTrouble:
    def test_a_server_that_is_down_is_said_in_one_line(
        self, server: PostgresServer, ledger: Ledger
    ) -> None:
        server.down()
        with pytest.raises(LedgerUnreachable) as caught:
            ledger.schema()
        assert "\n" not in caught.value.message
        assert "secret" not in caught.value.message
        server.up()
        ledger.check_schema()

    @pytest.mark.parametrize("end", [PostgresServer.down, PostgresServer.kill])
    def test_a_transaction_that_is_cut_off_did_nothing(
        self, server: PostgresServer, ledger: Ledger, end: Any
    ) -> None:
        held = taken(ledger, submitted(ledger)[1])

        def cut() -> None:
            end(server)
            server.up()

        with pytest.raises(LedgerUnreachable):
            _write_twice(ledger, cut)
        assert job_of(ledger, held.job_id).segments == 0

    def test_a_commit_that_is_cut_off_is_said(self, server: PostgresServer, ledger: Ledger) -> None:
        submitted(ledger)
        transaction = ledger.write()
        session = transaction.__enter__()
        session.execute(update(Job).values(segments=7))
        server.restart()
        with pytest.raises(LedgerUnreachable):
            transaction.__exit__(None, None, None)

    def test_what_was_committed_outlives_a_power_cut(
        self, server: PostgresServer, ledger: Ledger
    ) -> None:
        job, _ = submitted(ledger)
        server.kill()
        server.up()
        assert job_of(ledger, job).state == "queued"

    def test_a_deadlock_is_a_trouble_of_the_database(
        self, server: PostgresServer, ledger: Ledger
    ) -> None:
        ours, theirs = submitted(ledger, 1)[0], submitted(ledger, 2)[0]
        lock = "SELECT FROM jobs WHERE id = %s FOR UPDATE"
        with psycopg.connect(server.url(str(ledger.url.database))) as other:
            # It looks for deadlocks much later, so that it is ours which is ended.
            other.execute("SET deadlock_timeout = '1min'")
            other.execute(lock, (theirs,))
            waits = threading.Thread(target=other.execute, args=(lock, (ours,)))
            with pytest.raises(LedgerUnreachable, match="deadlock"):
                _lock_both(ledger, ours, theirs, waits.start)
            waits.join()

    def test_a_lock_is_not_waited_for_for_ever(self, server: PostgresServer, name: str) -> None:
        ledger = limited(server, name, "lock_timeout%3D50ms")
        job, _ = submitted(ledger)
        with psycopg.connect(server.url(name)) as other:
            other.execute("SELECT FROM jobs FOR UPDATE")
            with pytest.raises(LedgerUnreachable, match="lock timeout"):
                completion.cancel(ledger, job)
        assert completion.cancel(ledger, job)
        ledger.close()

    def test_who_idles_in_a_transaction_loses_it_and_its_locks(
        self, server: PostgresServer, name: str
    ) -> None:
        ledger = limited(server, name, "idle_in_transaction_session_timeout%3D50ms")
        job, _ = submitted(ledger)
        with pytest.raises(LedgerUnreachable):
            # The cancel waits for the job's lock until the server drops it.
            _write_twice(ledger, lambda: completion.cancel(ledger, job))
        assert job_of(ledger, job).segments == 0
        ledger.close()

    def test_a_standby_that_only_reads_is_not_the_ledger(
        self, server: PostgresServer, name: str
    ) -> None:
        ledger = limited(server, name, "default_transaction_read_only%3Don")
        with pytest.raises(LedgerUnreachable, match="read-only"):
            submitted(ledger)
        ledger.close()

    def test_who_only_looks_cannot_write(self, ledger: Ledger) -> None:
        submitted(ledger)
        with pytest.raises(LedgerUnreachable, match="read-only"), ledger.read() as session:
            session.execute(update(Job).values(segments=7))

    def test_a_role_that_may_not_is_told(self, server: PostgresServer, name: str) -> None:
        server.execute("CREATE ROLE stranger LOGIN")
        ledger = Ledger(server.url(name).replace("fimq:secret@", "stranger@"))
        with pytest.raises(LedgerUnreachable, match="permission denied"):
            submitted(ledger)
        ledger.close()
        server.execute("DROP ROLE stranger")

    def test_a_database_that_is_not_there_is_named(self, server: PostgresServer) -> None:
        with pytest.raises(LedgerUnreachable, match="nowhere"):
            Ledger(server.url("nowhere")).schema()


class Silent:
    """A doorbell that nobody hears."""

    def ring(self, step_id: str, lane: str) -> None: ...

    def waiting(self, lane: str) -> int:  # noqa: ARG002 - the signature is the Protocol's
        return 0


def test_heartbeat_and_sweep_go_on_when_the_server_is_back(
    server: PostgresServer, ledger: Ledger, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path, state_dir=tmp_path, sweep_seconds=0.1)
    worker = presence.register(ledger, lanes=["standard"], slots=1, facts={})
    # A third of the lease is the heartbeat's pause, and what a restart may take.
    holding = Holding(ledger, worker, lease=9)
    sweeper = Sweeper(ledger, Silent(), settings, Measures(), Reach("redis://here"))
    # Claimed before anything sweeps: a step that a sweep looks at just then is nobody's to take.
    lost = taken(ledger, submitted(ledger, 1)[1], "gone")
    held = holding.take(submitted(ledger, 2)[1])
    assert held
    with capture_logs() as log, running(holding), running(sweeper):
        server.down()
        until(
            lambda: {"heartbeat failed", "sweep failed"} <= {line["event"] for line in log},
            "both to meet a server that is down",
            seconds=20,
        )
        server.up()
        with ledger.write() as session:
            session.execute(update(Step).where(Step.id == lost.step_id).values(lease_until=now(-1)))
        seen = all_of(ledger, Worker)[0].beat_at
        until(lambda: all_of(ledger, Worker)[0].beat_at > seen, "a heartbeat", seconds=20)
        until(lambda: step_of(ledger, lost.step_id).losses == 1, "a sweep", seconds=20)
    kept = step_of(ledger, held.claim.step_id)
    assert (kept.state, kept.losses, held.lost) == ("claimed", 0, False)
