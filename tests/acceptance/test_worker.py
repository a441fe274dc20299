"""The worker among its surroundings: signals, lanes, cancelling, a queue that comes and goes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from awkward import FILM
from clips import Clip
from fimq.ledger.tables import Job
from installation import Installation, children, is_alive, until, worker_of
from services.redis import RedisServer


@pytest.fixture(scope="module")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of one segment that takes some seconds when every picture is a sample."""
    return replace(FILM, frames=400).write(tmp_path_factory.mktemp("films") / "long.mp4")


def submit_long(installation: Installation, film: Path) -> str:
    """Submit it, and return its job once it is in work."""
    (document,) = installation.documents("submit", film, "--every", "1", "--rescan")
    job_id: str = document["job_id"]
    until(lambda: any(step.progress for step in installation.steps(job_id)), "some progress")
    return job_id


def test_a_worker_that_is_stopped_gives_its_work_back(installation, long_film) -> None:
    installation.run("up")
    job_id = submit_long(installation, long_film)
    (shown,) = installation.documents("show", job_id)
    assert shown["state"] == "running"
    assert 0 < shown["progress"]["samples_done"] < shown["progress"]["samples_planned"] == 400

    worker = installation.worker_pid
    decoders = children(worker)
    assert decoders
    os.kill(worker, signal.SIGTERM)
    until(lambda: not is_alive(worker), "the worker's end")
    assert not any(map(is_alive, decoders))
    (step,) = installation.steps(job_id)
    assert (step.state, step.executions, step.losses, step.fence) == ("ready", 0, 0, 1)
    assert "grace time over" not in installation.log()

    installation.run("up")
    assert installation.run("watch", job_id).returncode == 0
    (step,) = installation.steps(job_id)
    assert (step.state, step.executions, step.losses, step.fence) == ("done", 0, 0, 2)
    assert installation.job(job_id).samples_done == 400


def test_a_job_is_cancelled_in_mid_work_and_its_child_ends(installation, long_film) -> None:
    installation.run("up")
    job_id = submit_long(installation, long_film)
    (decoder,) = children(installation.worker_pid)
    assert "cancelled" in installation.run("cancel", job_id, "--wait").stdout
    until(lambda: not is_alive(decoder), "the child's end")
    until(lambda: installation.steps(job_id)[0].worker_id is None, "the worker's letting go")
    assert [step.state for step in installation.steps(job_id)] == ["cancelled"]
    (shown,) = installation.documents("show", job_id)
    assert (shown["state"], shown["outcome"], shown["error"]) == ("cancelled", None, None)
    # The worker goes on.
    (document,) = installation.judge(Clip(frames=3).write(installation.folder / "next.mp4"))
    assert document["state"] == "done"


def test_an_idle_worker_and_its_queue_stop(installation) -> None:
    installation.environment["FIMQ_IDLE_SECONDS"] = "1"
    (document,) = installation.judge(Clip(frames=3).write(installation.folder / "clip.mp4"))
    assert document["state"] == "done"
    until(lambda: not installation.processes(), "the end of worker and queue")
    assert "idle: the private worker and queue stop" in installation.log()


def test_up_and_down_may_be_said_twice(installation) -> None:
    first, again = (installation.run("up").stdout for _ in range(2))
    assert first == again
    assert "queue   runs" in first
    assert "worker  runs" in first
    assert "worker  stopped" in installation.run("down").stdout
    assert not installation.processes()
    assert "worker  did not run" in installation.run("down").stdout


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    made = RedisServer(tmp_path)
    yield made
    made.stop()


def test_a_queue_of_ones_own(installation, redis) -> None:
    """Lanes in their order; a queue that goes away and comes back; nothing private started."""
    installation.environment["FIMQ_BROKER_URL"] = redis.url
    redis.start()
    for number, lane in enumerate(["archive", "standard", "urgent"] * 2):
        clip = Clip(frames=3 + number).write(installation.folder / f"{number}.mp4")
        ran = installation.run("submit", clip, "--lane", lane)
        assert ran.returncode == 0
        assert "No worker is alive" in ran.stderr
    with worker_of(installation, "--slots", "1") as worker:
        until(lambda: ended(installation) == 6, "the six jobs")
        order = sorted(installation.rows(Job), key=lambda job: job.started_at)
        assert [job.lane for job in order] == ["urgent"] * 2 + ["standard"] * 2 + ["archive"] * 2

        redis.stop()
        clip = Clip(frames=20).write(installation.folder / "meanwhile.mp4")
        ran = installation.run("submit", clip)
        assert ran.returncode == 5
        assert "[broker_unreachable]" in ran.stderr
        kept = installation.rows(Job, name="meanwhile.mp4")
        assert [job.state for job in kept] == ["queued"]
        assert kept[0].id.replace("-", "")[:8] in ran.stdout.replace("-", "")

        redis.start()
        until(lambda: ended(installation) == 7, "the job that was kept")
        assert worker.poll() is None
    assert worker.returncode == 0
    assert {job.state for job in installation.rows(Job)} == {"done"}
    assert installation.run("up").returncode == 2
    assert not any(installation.state_dir.iterdir())


def ended(installation: Installation) -> int:
    return sum(job.ended_at is not None for job in installation.rows(Job))
