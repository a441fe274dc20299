"""The real command with PostgreSQL as its ledger, and the private queue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from clips import Clip
from fimq.ledger.tables import SCHEMA, Face, Job, Sample
from installation import Installation, installed
from services.postgres import PostgresServer
from tinymodel import write_package


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[str]:
    name = postgres.create_database()
    yield name
    postgres.drop_database(name)


@pytest.fixture
def shared(
    postgres: PostgresServer, database: str, tmp_path: Path, face_models: Path
) -> Iterator[Installation]:
    write_package(tmp_path / "models" / "default")
    url = postgres.url(database, driver="postgres")
    with installed(tmp_path, face_models, FIMQ_LEDGER_URL=url) as made:
        yield made


def test_from_an_empty_database_to_a_verdict_and_to_its_deletion(
    shared: Installation, postgres: PostgresServer, database: str, tmp_path: Path
) -> None:
    clip = Clip(frames=60, width=160, height=120).write(tmp_path / "clip.mp4")
    refused = shared.run("submit", clip)
    assert refused.returncode == 5
    assert "fimq db upgrade" in refused.stderr
    assert "secret" not in refused.stderr
    upgraded = shared.run("db", "upgrade")
    assert f"schema none -> {SCHEMA}" in upgraded.stdout
    assert shared.run("db", "check").returncode == 0

    (document,) = shared.judge(clip)
    assert (document["state"], document["outcome"]) == ("done", "not_applicable"), shared.log()
    assert "clip.mp4" in shared.run("list").stdout
    assert "no face" in shared.run("show", document["job_id"][:13]).stdout
    assert f"schema {SCHEMA}" in shared.run("doctor").stdout
    assert shared.rows(Sample, job_id=document["job_id"])
    assert shared.judge(clip)[0]["reused_from"] == document["job_id"]

    with psycopg.connect(postgres.url(database)) as watch:
        sessions = watch.execute(
            "SELECT state FROM pg_stat_activity WHERE datname = %s AND application_name = 'fimq'",
            (database,),
        ).fetchall()
    # The worker's: two slots, heartbeat, sweep and watch at most; none in a transaction.
    assert 1 <= len(sessions) <= 5
    assert {state for (state,) in sessions} == {"idle"}

    for job in shared.rows(Job):
        assert shared.run("delete", job.id, "--yes").returncode == 0
    assert shared.rows(Job) == shared.rows(Face) == []
