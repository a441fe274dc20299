"""`fimq train prepare --queue`: over a real ledger and store, cut by a worker of this process.

The broker is away in all of these, so that nobody is told of a job but by the sweep.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import awkward
import miniature
from extras import need

need("tensorflow", extra="training")

from fimq.cuts import LANE
from fimq.errors import (
    ClassEmpty,
    NobodyCuts,
    StoreUnusable,
    UsageError,
    WorkersDiffer,
)
from fimq.intake import take_in
from fimq.ledger import claims, completion, presence, submission
from fimq.ledger.database import Ledger
from fimq.ledger.submission import Request
from fimq.ledger.sweep import sweep
from fimq.ledger.tables import Job, Step
from fimq.settings import Settings, load_settings
from fimq.store.base import open_store
from fimq_training.commands.train import train
from fimq_training.crops import queued
from fimq_training.crops.desk import Desk
from fimq_training.crops.table import CropTable
from fimq_worker.holding import Holding
from fimq_worker.measures import Measures
from fimq_worker.reach import Reach
from fimq_worker.steps.analysis import Analyst
from fimq_worker.steps.cutter import faces_of
from fimq_worker.steps.runner import StepRunner
from installation import until
from scenes import all_of

#: Of two; the other films are of the second.
OF_SHARD_1 = "swapped/1.mp4"


class Bell:
    """A doorbell that nobody hears: the sweep finds what it would have told."""

    def ring(self, step_id: str, lane: str) -> None: ...

    def waiting(self, lane: str) -> int:  # noqa: ARG002 - the signature is the Protocol's
        return 0


@dataclass
class Place:
    """An installation without its workers, and a data set of films."""

    settings: Settings
    ledger: Ledger
    root: Path
    out: Path

    def prepare(self, *more: Any, out: Path | None = None) -> Any:
        given = ("folder", self.root, out or self.out, "--manipulated", "swapped", *more)
        return CliRunner().invoke(train, ["prepare", *map(str, given)], catch_exceptions=False)

    def queued(self, *more: Any) -> Any:
        return self.prepare("--queue", *more)

    def objects(self) -> list[Path]:
        """What lies in the store."""
        return [path for path in (self.settings.data_dir / "store").rglob("*") if path.is_file()]

    def jobs(self) -> list[str]:
        return [job.id for job in all_of(self.ledger, Job)]

    def enter(self, **facts: Any) -> str:
        """Enter a worker that does nothing."""
        told = {"faces": faces_of(self.settings)} | facts
        return presence.register(self.ledger, lanes=["urgent", LANE], slots=1, facts=told)

    @contextmanager
    def worker(self) -> Iterator[None]:
        """A worker that does what sweeps ring for."""
        settings = self.settings
        store = open_store(settings.store, **settings.store_options)
        ended = threading.Event()
        measures = Measures()
        holding = Holding(self.ledger, self.enter(), lease=30)
        with Analyst(settings, self.ledger, store, measures) as analyst:
            parts = {"measures": measures, "reach": Reach("redis://here")}
            runner = StepRunner(settings, self.ledger, Bell(), holding, analyst, **parts)

            def work() -> None:
                while not ended.wait(0.01):
                    for step_id, _ in sweep(self.ledger, max_losses=9, ring_after=0).ring:
                        runner.run(step_id)

            thread = threading.Thread(target=work)
            thread.start()
            try:
                yield
            finally:
                ended.set()
                thread.join()

    def summary(self, out: Path | None = None) -> Any:
        return json.loads(((out or self.out) / "dataset.json").read_text())


@pytest.fixture
def place(
    ledger_url: str,
    tmp_path: Path,
    state_dir: Path,
    face_models: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Place]:
    for name, value in {
        "LEDGER_URL": ledger_url,
        "BROKER_URL": f"redis+socket://{state_dir}/nobody.sock",
        "DATA_DIR": tmp_path / "data",
        "STATE_DIR": state_dir,
        "FACE_MODELS_DIR": face_models,
        "RETRY_SECONDS": 0,
    }.items():
        monkeypatch.setenv(f"FIMQ_{name}", str(value))
    monkeypatch.setattr(queued, "_LOOK_S", 0.05)
    root = tmp_path / "films"
    miniature.put(root, ["real/0.mp4", "real/1.mp4", OF_SHARD_1], awkward.film_bytes())
    ledger = Ledger(ledger_url, pool_size=20)
    yield Place(load_settings(), ledger, root, tmp_path / "out")
    ledger.close()


#: Where what the database is makes no difference.
on_sqlite = pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)


def test_workers_make_the_table_that_this_machine_makes(place: Place, tmp_path: Path) -> None:
    awkward.still(quality=95)(place.root / "real/face.jpg")
    (place.root / "real/2.mp4").write_bytes(awkward.film_bytes()[:500])
    (place.root / "real/3.mp4").write_bytes(b"")
    (place.root / "real/4.mp4").write_bytes(b"<html>not found</html>")
    (place.root / "swapped/5.mp4").write_bytes(awkward.film_bytes(face=False))
    # One of these films was judged here before: it stays.
    store = open_store(place.settings.store, **place.settings.store_options)
    content = take_in(place.root / "real/0.mp4", store, limit=10**9)
    judged = submission.submit(place.ledger, content, Request()).job_id

    whole = tmp_path / "whole"
    place.prepare("--jobs", 1, out=whole)
    with place.worker():
        completion.cancel(place.ledger, judged)
        result = place.queued()
    assert result.exit_code == 0, result.output
    here, there = CropTable.read(whole), CropTable.read(place.out)
    assert there.crops == here.crops
    assert len(there) == 7
    assert there.fingerprint == here.fingerprint
    assert place.summary() == place.summary(whole)
    assert {bad["code"] for bad in place.summary()["bad"]} == {
        "truncated",
        "empty_file",
        "not_a_video",
    }
    assert lines(place.out) == lines(whole)
    assert place.jobs() == [judged]
    assert place.objects() == [place.settings.data_dir / "store" / content.store_key]
    assert "workers look by themselves" in result.stderr


def lines(out: Path, shard: str = "1of1") -> list[str]:
    return sorted((out / "journal" / f"{shard}.jsonl").read_text().splitlines())


@on_sqlite
def test_who_lets_go_collects_by_the_same_command_what_was_asked_for(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.enter()

    def let_go(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Desk, "jobs", let_go)
        result = place.queued()
    assert "the same command collects it" in result.stderr
    asked = place.jobs()
    assert len(asked) == 3
    # Meanwhile one file becomes another, and one is cut here: nobody needs their jobs now.
    (place.root / "real/0.mp4").write_bytes(awkward.film_bytes(face=False))
    place.prepare("--jobs", 1, "--shard", "1/2")
    assert [json.loads(line)["path"] for line in lines(place.out, "1of2")] == [OF_SHARD_1]
    waited_for: set[str] = set()
    jobs = Desk.jobs

    def watched(desk: Desk, job_ids: Any) -> Any:
        waited_for.update(job_ids)
        return jobs(desk, job_ids)

    monkeypatch.setattr(Desk, "jobs", watched)
    with place.worker():
        # The job of the other shard's file is not for this one to touch.
        result = place.queued("--shard", "2/2")
        assert result.exit_code == 0, result.output
        assert (len(waited_for), len(waited_for & set(asked))) == (2, 1)
        assert len(place.jobs()) == 1
        assert place.queued().exit_code == 0
    assert len(CropTable.read(place.out)) == 4
    assert (place.jobs(), place.objects()) == ([], [])


@on_sqlite
def test_a_bundle_that_is_spoilt_is_cut_again_and_not_for_ever(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIMQ_MAX_EXECUTIONS", "2")
    jobs, spoilt = Desk.jobs, list[str]()

    def spoil(desk: Desk, job_ids: Any) -> Any:
        known = jobs(desk, job_ids)
        for job in known.values():
            if job.report and (job.external_id == "real/0.mp4" or not spoilt):
                spoilt.append(job.external_id or "")
                (place.settings.data_dir / "store" / job.report.key).write_bytes(b"spoilt")
        return known

    with place.worker():
        with monkeypatch.context() as patched:
            patched.setattr(Desk, "jobs", spoil)
            result = place.queued()
        assert "bad: real/0.mp4  " in result.stderr
        assert "[store_changed]" in result.stderr
        assert spoilt.count("real/0.mp4") == 2
        assert len(CropTable.read(place.out)) == 4
        place.queued()
    assert place.summary()["bad"] == []
    assert (place.jobs(), place.objects()) == ([], [])


@on_sqlite
def test_a_job_that_is_cancelled_or_deleted_is_bad_until_the_same_command(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = place.enter()
    jobs = Desk.jobs

    def end(desk: Desk, job_ids: Any) -> Any:
        for number, job_id in enumerate(job_ids):
            completion.cancel(place.ledger, job_id)
            if number == 0:
                desk.discard(job_id)
        return jobs(desk, job_ids)

    with monkeypatch.context() as patched:
        patched.setattr(Desk, "jobs", end)
        with pytest.raises(ClassEmpty):
            place.queued()
    assert [bad["code"] for bad in place.summary()["bad"]] == ["cut_cancelled"] * 3
    assert (place.jobs(), place.objects()) == ([], [])
    presence.leave(place.ledger, worker)
    with place.worker():
        place.queued()
    assert place.summary()["bad"] == []


@on_sqlite
def test_only_so_many_are_asked_for_and_who_waits_for_a_worker_is_told(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    miniature.put(place.root, [f"real/{number}.mp4" for number in range(12)], b"x" * 100)
    worker = place.enter()
    most = []
    jobs = Desk.jobs

    def look(desk: Desk, job_ids: Any) -> Any:
        most.append(len(place.jobs()))
        if most[-1] == 8:
            presence.leave(place.ledger, worker)
        return jobs(desk, job_ids)

    monkeypatch.setattr(Desk, "jobs", look)
    result: list[Any] = []
    thread = threading.Thread(target=lambda: result.append(place.queued()))
    thread.start()
    until(lambda: 8 in most, "eight jobs")
    count = len(most)
    until(lambda: len(most) > count + 3, "some looks")
    with place.worker():
        thread.join()
    assert max(most) == 8
    assert result[0].stderr.count("waiting: no live worker hears the lane `training`") == 1
    assert len(place.summary()["bad"]) == 12


@on_sqlite
def test_what_cannot_work_is_refused_before_anything_is_made(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NobodyCuts):
        place.queued()
    presence.register(place.ledger, lanes=["urgent"], slots=1, facts={"faces": {}})
    with pytest.raises(NobodyCuts):
        place.queued()
    with pytest.raises(UsageError, match="--queue and --jobs"):
        place.queued("--jobs", 2)
    place.enter()
    monkeypatch.setenv("FIMQ_MIN_FACE", "60")
    with pytest.raises(WorkersDiffer, match="has min_face 48, and 60 is asked for"):
        place.queued()
    assert not place.out.exists()


@on_sqlite
def test_a_store_that_is_away_ends_it_and_costs_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = place.enter()
    incoming = place.settings.data_dir / "store" / "incoming"
    incoming.parent.mkdir(parents=True)
    incoming.write_bytes(b"in the way")
    with pytest.raises(StoreUnusable):
        place.queued()
    incoming.unlink()

    def away(desk: Desk, job_ids: Any) -> Any:
        for step in all_of(place.ledger, Step):
            if held := claims.claim(place.ledger, step.id, worker, 30):
                facts = {"final": False, "executions": 3, "wait": 0, "losses": 1}
                completion.fail_step(place.ledger, held, StoreUnusable(), **facts)
        return jobs(desk, job_ids)

    # For a worker it is away for too long; that is no fault of these files.
    jobs = Desk.jobs
    with monkeypatch.context() as patched:
        patched.setattr(Desk, "jobs", away)
        with pytest.raises(StoreUnusable):
            place.queued()
    assert lines(place.out) == []
    with place.worker():
        assert place.queued().exit_code == 0
