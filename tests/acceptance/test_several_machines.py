"""Several machines that share a database, a queue and a bucket, while these come and go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from awkward import FILM
from cluster import Cluster, cluster
from fimq.ledger.tables import Job, Step
from installation import until
from soak import Soaked, check, ended, in_work
from tinymodel import write_package


@pytest.fixture
def machines(tmp_path: Path, face_models: Path) -> Iterator[Cluster]:
    write_package(tmp_path / "models" / "default")
    with cluster(tmp_path, face_models, FIMQ_ARCHIVE_SEGMENT_SECONDS="1") as made:
        yield made


def test_they_share_the_segments_of_a_film_and_fetch_it_once_each(
    machines: Cluster, tmp_path: Path
) -> None:
    film = replace(FILM, frames=300, gop=25).write(tmp_path / "film.mp4")
    machines.start()
    ask = ("--lane", "archive", "--every", "2")
    (document,) = machines.desk.judge(film, options=ask)
    assert document["state"] == "done"
    assert document["counts"]["samples_decoded"] == 150
    segments = machines.desk.rows(Step, kind="segment")
    assert len(segments) == 12
    workers = {step.worker_id for step in segments}
    assert len(workers) == 2
    assert {row["id"] for row in machines.desk.documents("workers")} == workers
    assert len({row["pid"] for row in machines.desk.documents("workers")}) == 2
    key = f"/{machines.bucket.name}/videos/{document['sha256'][:2]}"
    begun = [asked for asked in machines.bucket.gateway.asked if asked.begins_download]
    assert sum(asked.path.startswith(key) for asked in begun) == 2
    assert machines.desk.run("delete", document["job_id"], "--yes").returncode == 0
    assert machines.bucket.objects() == []


def test_nothing_is_lost_and_nothing_is_done_twice_in_an_upheaval(
    machines: Cluster, tmp_path: Path
) -> None:
    """A worker is killed, the database restarted and killed, the queue emptied and restarted."""
    films = [replace(FILM, frames=60 + n).write(tmp_path / f"{n}.mp4") for n in range(8)]
    long = replace(FILM, frames=300, gop=25).write(tmp_path / "long.mp4")
    machines.start()
    desk = machines.desk
    desk.documents("submit", long, "--lane", "archive", "--every", "1")
    desk.documents("submit", *films, "--every", "2")

    def upset(what: str, more: int = 1) -> None:
        """Wait until so many more jobs or segments ended, while others are in work."""
        done = progress(machines)
        until(lambda: progress(machines) >= done + more and in_work(desk), what)

    upset("the first results")
    machines.machines[0].kill()
    upset("results of the other worker")
    machines.machines[0].start()
    machines.redis.flush()
    upset("results after the queue was emptied")
    machines.postgres.restart()
    upset("results after the database was restarted")
    machines.redis.stop()
    machines.machines[1].kill()
    machines.redis.start()
    machines.machines[1].start()
    machines.postgres.kill()
    machines.postgres.up()
    until(lambda: ended(desk) == 9, "the end of all jobs")

    wrong = check(desk, Soaked(jobs=desk.rows(Job)))
    assert wrong == []
    assert all(machine.process and machine.process.poll() is None for machine in machines.machines)
    # Nobody's fault was held against a video.
    assert {step.executions for step in desk.rows(Step)} == {0}
    assert Counter(step.state for step in desk.rows(Step)).keys() == {"done"}


def progress(machines: Cluster) -> int:
    return len(machines.desk.rows(Step, state="done"))
