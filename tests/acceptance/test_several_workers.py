"""Several workers on one queue: who they are, what they count, and how one of them goes."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text

from awkward import FILM
from clips import Clip
from fimq.ledger.tables import Job, Step, Worker
from installation import Installation, until, worker_of
from services.redis import RedisServer


@pytest.fixture
def redis(tmp_path: Path, installation: Installation) -> Iterator[RedisServer]:
    """The installation's queue, no longer private."""
    made = RedisServer(tmp_path)
    made.start()
    installation.environment["FIMQ_BROKER_URL"] = made.url
    yield made
    made.stop()


def read(worker_log: str) -> dict[str, float]:
    """What a worker serves at `/metrics`: each sample by its name and labels."""
    port = re.search(r"metrics served.*url=http://127.0.0.1:(\d+)/metrics", worker_log)
    assert port, worker_log
    with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_a_worker_that_is_drained_ends_its_work_and_another_goes_on(
    installation: Installation, redis: RedisServer
) -> None:
    film = replace(FILM, frames=200).write(installation.folder / "long.mp4")
    with worker_of(installation, "--slots", "1") as first:
        (job,) = installation.documents("submit", film, "--every", "1", "--rescan")
        until(lambda: any(step.progress for step in installation.steps(job["job_id"])), "work")
        (row,) = installation.documents("workers", "--here")
        assert (row["state"], row["steps"], row["pid"]) == ("working", 1, first.pid)
        assert [facts["name"] for facts in row["facts"]["models"].values()] == ["openvino"]

        asked = installation.run("worker", "--drain", row["id"])
        assert asked.returncode == 0
        until(lambda: installation.documents("workers")[0]["state"] != "working", "the wish")
        with worker_of(installation, "--slots", "1", "--lanes", "standard"):
            # What comes now is the second worker's; the first one ends what it has, and goes.
            (other,) = installation.judge(Clip(frames=3).write(installation.folder / "next.mp4"))
            assert other["state"] == "done"
            until(lambda: first.poll() is not None, "the first worker's end")
            assert first.returncode == 0
            (step,) = installation.steps(job["job_id"])
            assert (step.state, step.fence, step.worker_id) == ("done", 1, row["id"])
            states = [row["state"] for row in installation.documents("workers", "--all")]
            assert states[0] == "stopped"
            assert states[1] in {"idle", "working"}
    assert installation.run("workers", "--here").returncode == 5
    gone = installation.run("worker", "--drain", row["id"])
    assert (gone.returncode, "[worker_not_found]" in gone.stderr) == (2, True)


def test_a_wish_to_drain_that_is_there_before_the_worker_is_ready_is_no_crash(
    installation: Installation, redis: RedisServer
) -> None:
    """The ledger itself has the wish, so that the very first heartbeat brings it."""
    assert installation.run("db", "upgrade").returncode == 0
    ledger = installation.ledger()
    with ledger.write() as session:
        session.execute(
            text(
                "CREATE TRIGGER wish AFTER INSERT ON workers BEGIN"
                " UPDATE workers SET drain_at = NEW.beat_at WHERE id = NEW.id; END"
            )
        )
    ledger.close()
    ran = installation.run("worker")
    assert ran.returncode == 0
    assert "worker ready" not in ran.stderr
    assert [row.stopped_at is not None for row in installation.rows(Worker)] == [True]


def test_a_second_sigterm_ends_a_draining_worker_now(
    installation: Installation, redis: RedisServer
) -> None:
    film = replace(FILM, frames=600).write(installation.folder / "long.mp4")
    with worker_of(installation, "--slots", "1") as worker:
        (job,) = installation.documents("submit", film, "--every", "1", "--rescan")
        until(lambda: any(step.progress for step in installation.steps(job["job_id"])), "work")
        installation.run("worker", "--drain", installation.documents("workers")[0]["id"])
        until(lambda: "draining" in installation.run("workers").stdout, "the wish")
        log = installation.worker_logs()[0]
        until(lambda: "asked to drain" in log.read_text(), "the worker's knowing")
        worker.terminate()
        until(lambda: worker.poll() is not None, "the worker's end")
        (step,) = installation.steps(job["job_id"])
        assert (step.state, step.executions, step.losses) == ("ready", 0, 0)


def test_metrics_tell_what_was_counted_and_what_waits(
    installation: Installation, redis: RedisServer
) -> None:
    clip = Clip(frames=50).write(installation.folder / "clip.mp4")
    note = installation.folder / "cut.mp4"
    note.write_bytes(clip.read_bytes()[:500])
    with worker_of(installation, "--lanes", "standard", "--metrics", "0"):
        installation.run("submit", clip, "--lane", "archive")
        installation.judge(clip, note, options=("--rescan",))
        seen = read(installation.worker_logs()[0].read_text())
        assert seen['fimq_steps_total{kind="plan",result="done"}'] == 1
        assert seen['fimq_steps_total{kind="plan",result="failed"}'] == 1
        assert seen['fimq_jobs_failed_total{code="truncated"}'] == 1
        assert seen['fimq_samples_total{state="ok"}'] == 17
        assert seen['fimq_verdicts_total{outcome="not_applicable",reason="no_face"}'] == 1
        assert seen["fimq_no_face_ratio"] == 1
        assert seen['fimq_jobs{lane="archive",state="queued"}'] == 1
        # A sweep between commit and ring rings too; that costs nothing.
        assert seen['fimq_queue_messages{lane="archive"}'] >= 1
        assert seen['fimq_oldest_job_seconds{lane="archive"}'] > 0
        assert seen['fimq_oldest_job_seconds{lane="standard"}'] == 0
        assert seen['fimq_workers{state="idle"}'] == 1
        assert (seen["fimq_ledger_up"], seen["fimq_queue_up"], seen["fimq_slots"]) == (1, 1, 2)
        assert any(name.startswith('fimq_runtime{model="') for name in seen)

        redis.stop()
        seen = read(installation.worker_logs()[0].read_text())
        assert (seen["fimq_ledger_up"], seen["fimq_queue_up"]) == (1, 0)
    shown = installation.run("stats").stdout
    assert re.search(r"archive +1 +0 +\d:\d\d +0", shown)
    assert "1 no face" in shown
    assert "1 truncated" in shown
    (told,) = installation.documents("stats", "--minutes", "5")
    assert (told["window_s"], told["outcomes"]) == (300, {"no_face": 1})


@pytest.mark.parametrize(("address", "code"), [("nonsense", 2), ("192.0.2.1:9464", 5)])
def test_metrics_at_an_address_that_cannot_be_served_stop_the_worker(
    installation: Installation, redis: RedisServer, address: str, code: int
) -> None:
    ran = installation.run("worker", "--metrics", address)
    assert ran.returncode == code
    assert "[metrics_" in ran.stderr


def test_a_job_of_two_workers_is_one_job(installation: Installation, redis: RedisServer) -> None:
    """Segments of one film are shared; every sample is there once, and who scored is said."""
    installation.environment["FIMQ_ARCHIVE_SEGMENT_SECONDS"] = "1"
    film = replace(FILM, frames=250, gop=25).write(installation.folder / "film.mp4")
    with ExitStack() as workers:
        for runtime in ("openvino", "onnxruntime"):
            installation.environment["FIMQ_RUNTIME"] = runtime
            workers.enter_context(worker_of(installation, "--slots", "1"))
        (done,) = installation.judge(film, options=("--lane", "archive", "--every", "1"))
    assert done["state"] == "done"
    assert done["counts"]["samples_decoded"] == 250
    (note,) = [note for note in done["notes"] if "runtimes" in note]
    assert re.fullmatch(
        r"Scored by several runtimes: onnxruntime \S+ f32, openvino \S+ f32\.", note
    )
    segments = [step for step in installation.steps(done["job_id"]) if step.kind == "segment"]
    assert len(segments) == 10
    assert {step.fence for step in segments} == {1}
    assert len({step.worker_id for step in segments}) == 2
    (job,) = installation.rows(Job)
    assert (job.segments, job.segments_left, job.samples_done) == (10, 0, 250)


def test_an_urgent_video_waits_for_no_more_than_the_segment_in_work(
    installation: Installation, redis: RedisServer
) -> None:
    installation.environment["FIMQ_ARCHIVE_SEGMENT_SECONDS"] = "1"
    film = replace(FILM, frames=1000, gop=25).write(installation.folder / "film.mp4")

    def done() -> int:
        return len(installation.rows(Step, lane="archive", kind="segment", state="done"))

    with worker_of(installation, "--slots", "1"):
        installation.run("submit", film, "--lane", "archive", "--every", "1")
        until(lambda: done() >= 1, "a segment")
        for number in range(3):
            clip = Clip(frames=3 + number).write(installation.folder / f"{number}.mp4")
            (urgent,) = installation.documents("submit", clip, "--lane", "urgent")
            before = done()
            job = partial(installation.job, urgent["job_id"])
            until(lambda job=job: job().started_at, "the urgent claim")
            assert done() - before <= 1
            until(lambda job=job: job().ended_at, "the urgent verdict")
        assert done() < 40, "the film was done before it could be in the way"
