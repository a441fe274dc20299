"""What a worker's log says of its queue and of its end: our own lines, and each thing once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clips import Clip
from fimq.ledger.tables import Job, Worker
from installation import Installation, until
from services.redis import RedisServer

HIDDEN = "hunter2"


@pytest.fixture
def redis(tmp_path: Path, installation: Installation) -> Iterator[RedisServer]:
    """The installation's queue, which does not run yet; its URL has a password."""
    made = RedisServer(tmp_path)
    url = made.url.replace("redis://", f"redis://:{HIDDEN}@")
    installation.environment |= {"FIMQ_BROKER_URL": url, "FIMQ_LOG_FORMAT": "json"}
    yield made
    made.stop()


def test_a_queue_that_is_away_is_one_line_and_one_when_it_is_back(
    installation: Installation, redis: RedisServer
) -> None:
    """At the start and in mid-run, and whoever meets it; and nothing in a form of Celery's."""
    path = installation.folder / "log.txt"

    def lines(event: str) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in path.read_text().splitlines()]
        return [line for line in found if line["event"] == event]

    installation.run("list")
    with path.open("w") as log:
        worker = installation.start("worker", stdout=log, stderr=log)
    try:
        until(lambda: lines("waiting for the queue"), "the wait")
        # The sweeper meets it as well, twice between two heartbeats.
        beats = {installation.rows(Worker)[0].beat_at}
        until(
            lambda: beats.add(installation.rows(Worker)[0].beat_at) or len(beats) > 2, "heartbeats"
        )
        redis.start(password=HIDDEN)
        until(lambda: lines("worker ready"), "the start")
        assert len(lines("waiting for the queue")) == len(lines("the queue is back")) == 1
        redis.stop()
        until(lambda: len(lines("waiting for the queue")) == 2, "the second wait")
        redis.start(password=HIDDEN)
        until(lambda: len(lines("the queue is back")) == 2, "the second return")
        installation.run("submit", Clip(frames=3).write(installation.folder / "clip.mp4"))
        until(lambda: installation.rows(Job)[0].ended_at, "the job")
    finally:
        worker.terminate()
        assert worker.wait(60) == 0
    (away, again) = lines("waiting for the queue")
    for line in (away, again):
        assert line["queue"] == f"redis://***@127.0.0.1:{redis.port}/0"
    said = path.read_text()
    assert HIDDEN not in said
    assert not re.search("(?i)celery|shutdown|traceback|superuser|retry", said)
