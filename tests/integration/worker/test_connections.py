"""Connections: none is held while a video is analysed, and a worker has as many as it may."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from clips import Clip
from fimq.intake import take_in
from fimq.ledger import claims, submission
from fimq.ledger.database import Ledger
from fimq.ledger.submission import Request
from fimq.ledger.tables import Job
from fimq.settings import Settings
from fimq.store.base import open_store
from fimq_worker.holding import Held
from fimq_worker.measures import Measures
from fimq_worker.steps import analysis
from fimq_worker.steps.analysis import Analyst
from scenes import all_of
from services.postgres import PostgresServer
from tinymodel import write_package


def test_no_connection_is_held_while_a_video_is_analysed(
    postgres: PostgresServer, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real child decodes; at each of its samples the pool and the server are asked."""
    write_package(tmp_path / "data" / "models" / "default")
    name = postgres.migrated_database()
    ledger = Ledger(postgres.url(name))
    store = open_store(settings.store, make=True)
    film = take_in(Clip(frames=60).write(tmp_path / "clip.mp4"), store, limit=10**9)
    made = submission.submit(ledger, film, Request(sampling="every:2"))
    assert made.step_id
    held = claims.claim(ledger, made.step_id, "w", 30)
    assert held
    seen: list[tuple[int, int]] = []

    with psycopg.connect(postgres.url("postgres"), autocommit=True) as watch:

        def looked(rows: analysis._Rows, sample: analysis.SampleReply) -> None:
            row = watch.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND state <> 'idle'",
                (name,),
            ).fetchone()
            assert row
            seen.append((ledger.engine.pool.checkedout(), row[0]))  # type: ignore[attr-defined]
            add(rows, sample)

        add = analysis._Rows.add
        monkeypatch.setattr(analysis._Rows, "add", looked)
        with Analyst(settings, ledger, store, Measures()) as analyst:
            assert analyst.plan(Held(held)) == []
    assert len(seen) == 30
    assert set(seen) == {(0, 0)}
    assert all_of(ledger, Job)[0].state == "done"
    ledger.close()
    postgres.drop_database(name)
