"""Nothing is lost or done twice when workers and their children die."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import chaotic_worker
from awkward import FILM
from installation import children, until
from soak import check, soak

SEED = 20


def test_every_job_ends_once_though_workers_are_killed(installation) -> None:
    films = [
        replace(FILM, frames=60 + number).write(installation.folder / f"{number}.mp4")
        for number in range(8)
    ]
    print("seed", SEED)
    soaked = soak(installation, films, kills=3, seed=SEED)
    print(soaked.kills, "kills", [f"{seconds:.1f} s" for seconds in soaked.recoveries])
    assert soaked.kills >= 1
    assert len(soaked.jobs) == 8
    assert check(installation, soaked) == []
    assert soaked.executions == 0
    worker = installation.worker_pid
    decoders = children(worker) if worker else []
    installation.run("down")
    assert not installation.processes()
    assert not any(Path(f"/proc/{pid}").exists() for pid in decoders)


def test_a_decoder_that_dies_fails_its_own_video_only(installation) -> None:
    ends = {"crash": "decoder_crash", "hang": "decoder_timeout", "allocate": "decoder_memory"}
    names = ["before", *ends, "after"]
    films = [
        replace(FILM, frames=10 + number).write(installation.folder / f"{name}.mp4")
        for number, name in enumerate(names)
    ]
    installation.run("list")  # which makes the ledger
    said = installation.folder / "chaos.txt"
    with said.open("w") as log:
        worker = subprocess.Popen(
            [sys.executable, chaotic_worker.__file__, "--slots", "1"],
            env=installation.environment,
            stdout=log,
            stderr=log,
        )
    try:
        until(lambda: "worker ready" in said.read_text(), "the worker")
        assert installation.worker_pid == worker.pid
        documents = {each["name"][:-4]: each for each in installation.judge(*films)}
        for name, code in ends.items():
            assert documents[name]["state"] == "failed"
            assert documents[name]["error"]["code"] == code
            assert documents[name]["score"] is None
            (step,) = installation.steps(documents[name]["job_id"])
            assert (step.executions, step.losses) == (3, 0)
        for name in ("before", "after"):
            assert documents[name]["state"] == "done"
        assert worker.poll() is None
    finally:
        worker.terminate()
        worker.wait(60)
