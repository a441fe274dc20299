"""The start of a worker: what it loads first, and how it refuses where it could not judge."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import slow_worker
from clips import Clip
from fimq.ledger.tables import Job, Worker
from installation import Installation, until, worker_of
from services.redis import RedisServer

NOT_INSTALLED = "onnxruntime-cuda"


@pytest.fixture
def redis(tmp_path: Path, installation: Installation) -> Iterator[RedisServer]:
    """The installation's queue, no longer private."""
    made = RedisServer(tmp_path)
    made.start()
    installation.environment["FIMQ_BROKER_URL"] = made.url
    yield made
    made.stop()


@pytest.fixture
def clip(installation: Installation) -> Path:
    return Clip(frames=3).write(installation.folder / "clip.mp4")


def absent_runtime(installation: Installation) -> None:
    installation.environment["FIMQ_RUNTIME"] = NOT_INSTALLED


def absent_model(installation: Installation) -> None:
    shutil.rmtree(installation.folder / "models" / "default")
    installation.environment["FIMQ_MODEL"] = "nowhere"


def absent_face_models(installation: Installation) -> None:
    installation.environment["FIMQ_FACE_MODELS_DIR"] = str(installation.folder / "empty")


@pytest.mark.parametrize(
    ("lack", "code", "status", "hint"),
    [
        (absent_runtime, "runtime_not_installed", 5, "fimq[cuda]"),
        (absent_model, "model_missing", 3, "fimq models list"),
        (absent_face_models, "face_models_missing", 5, "fimq models fetch"),
    ],
)
def test_a_worker_that_could_not_judge_refuses_to_start(
    installation: Installation,
    redis: RedisServer,
    clip: Path,
    *,
    lack: Callable[[Installation], None],
    code: str,
    status: int,
    hint: str,
) -> None:
    (job,) = installation.documents("submit", clip)
    before = dict(installation.environment)
    lack(installation)
    ran = installation.run("worker")
    assert ran.returncode == status
    error, told = ran.stderr.splitlines()[-2:]
    assert error.startswith("error: ")
    assert error.endswith(f"[{code}]")
    assert hint in told
    assert ran.stderr.count(f"[{code}]") == 1
    (row,) = installation.rows(Worker)
    assert row.stopped_at is not None
    assert [step.fence for step in installation.steps(job["job_id"])] == [0]
    installation.environment = before
    if lack is not absent_model:
        with worker_of(installation):
            assert installation.run("watch", job["job_id"]).returncode == 0


def test_a_runtime_that_nobody_knows_is_a_setting_that_is_refused_everywhere(
    installation: Installation, clip: Path
) -> None:
    installation.environment["FIMQ_RUNTIME"] = "openvinoo"
    for command in (["worker"], ["submit", clip], ["list"], ["up"]):
        ran = installation.run(*command)
        assert ran.returncode == 2, command
        assert "FIMQ_RUNTIME" in ran.stderr
        assert "[settings_invalid]" in ran.stderr
        assert "'openvino'" in ran.stderr
    assert not installation.processes()


def test_a_private_worker_that_cannot_start_is_told_at_once_and_the_job_waits(
    installation: Installation, clip: Path
) -> None:
    absent_runtime(installation)
    for options in ([], ["--wait"]):
        ran = installation.run("submit", clip, *options)
        assert ran.returncode == 5
        assert f"the runtime {NOT_INSTALLED} is not installed" in ran.stderr.lower()
        assert "[runtime_not_installed]" in ran.stderr
    assert installation.run("up").returncode == 5
    assert not installation.processes()
    assert {job.state for job in installation.rows(Job)} == {"queued"}
    del installation.environment["FIMQ_RUNTIME"]
    installation.run("up")
    for job in installation.rows(Job):
        assert installation.run("watch", job.id).returncode == 0
    assert {job.state for job in installation.rows(Job)} == {"done"}


class Slow:
    """A worker that loads for as long as the test likes."""

    def __init__(self, installation: Installation) -> None:
        self.may_load = installation.folder / "may-load"
        self.log = installation.folder / "slow.txt"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, slow_worker.__file__],
                env=installation.environment | {"LOAD_AFTER": str(self.may_load)},
                stdout=log,
                stderr=log,
            )
        until(lambda: "worker starts" in self.log.read_text(), "the start")


@contextmanager
def slow_worker_of(installation: Installation) -> Iterator[Slow]:
    made = Slow(installation)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait()


def test_a_worker_that_loads_says_so_and_takes_nothing_yet(
    installation: Installation, redis: RedisServer, clip: Path
) -> None:
    installation.run("list")
    with slow_worker_of(installation) as slow:
        ran = installation.run("submit", clip)
        assert "No worker is alive" not in ran.stderr
        (job,) = installation.rows(Job)
        (row,) = installation.documents("workers", "--here")
        assert row["state"] == "starting"
        beats = {row["beat_at"]}
        until(
            lambda: beats.add(installation.rows(Worker)[0].beat_at) or len(beats) > 2,
            "heartbeats while it loads",
        )
        assert [step.fence for step in installation.steps(job.id)] == [0]
        slow.may_load.touch()
        assert installation.run("watch", job.id).returncode == 0
        assert installation.documents("workers")[0]["state"] in {"idle", "working"}
        assert "starting" not in installation.rows(Worker)[0].facts


@pytest.mark.parametrize("how", ["a signal", "a wish"])
def test_a_worker_that_loads_can_be_told_to_go(
    installation: Installation, redis: RedisServer, how: str
) -> None:
    installation.run("list")
    with slow_worker_of(installation) as slow:
        (row,) = installation.rows(Worker)
        if how == "a signal":
            slow.process.terminate()
        else:
            assert installation.run("worker", "--drain", row.id).returncode == 0
        assert slow.process.wait(60) == 0
        (row,) = installation.rows(Worker)
        assert row.stopped_at is not None
        assert "Traceback" not in slow.log.read_text()
