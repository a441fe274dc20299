"""The soak: workers are killed at random moments while videos are judged."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from redis import Redis

from fimq.ledger.tables import Event, Face, Job, Sample, Step, VerdictRow
from installation import Installation, until


@dataclass
class Soaked:
    """What came of it."""

    jobs: list[Job] = field(default_factory=list)
    kills: int = 0
    flushed: bool = False
    seconds: float = 0.0
    recoveries: list[float] = field(default_factory=list)  #: from a kill to the next job's end
    losses: int = 0
    executions: int = 0


def soak(installation: Installation, films: Sequence[Path], *, kills: int, seed: int) -> Soaked:
    """Judge films; kill the worker `kills` times on the way and lose every message once."""
    moments, result = random.Random(seed), Soaked()
    started = time.monotonic()
    documents = installation.documents("submit", *films)
    wanted = len(documents)
    for number in range(kills):
        until(lambda: in_work(installation) or ended(installation) == wanted, "work to interrupt")
        time.sleep(moments.uniform(0, 1.5))
        done, worker = ended(installation), installation.worker_pid
        if done == wanted:
            break
        if worker is None:
            continue
        os.kill(worker, signal.SIGKILL)
        killed = time.monotonic()
        result.kills += 1
        until(lambda gone=worker: installation.worker_pid != gone, "the worker's end")
        if number == kills // 2:
            with Redis(unix_socket_path=str(installation.state_dir / "valkey.sock")) as queue:
                result.flushed = bool(queue.flushall())
        installation.run("up")
        until(lambda done=done: ended(installation) > done, "a job's end after the kill")
        result.recoveries.append(time.monotonic() - killed)
    until(lambda: ended(installation) == wanted, "the end of all jobs")
    result.seconds = time.monotonic() - started
    result.jobs = installation.rows(Job)
    steps = installation.rows(Step)
    result.losses = sum(step.losses for step in steps)
    result.executions = sum(step.executions for step in steps)
    return result


def check(installation: Installation, soaked: Soaked) -> list[str]:
    """What is wrong with what the ledger holds: nothing, where all went well."""
    wrong = []
    samples, faces = installation.rows(Sample), installation.rows(Face)
    verdicts, events = installation.rows(VerdictRow), installation.rows(Event)
    for job in soaked.jobs:
        if job.state != "done":
            wrong.append(f"{job.name}: {job.state} {job.error_code}")
        rows = sum(sample.job_id == job.id for sample in samples)
        if not rows == job.samples_done == job.samples_planned:
            wrong.append(f"{job.name}: {rows} samples of {job.samples_planned}")
        for kind, found in (("verdict", verdicts), ("event", events)):
            if (count := sum(row.job_id == job.id for row in found)) != 1:
                wrong.append(f"{job.name}: {count} {kind}s")
        counted = next((v.counts["faces_scored"] for v in verdicts if v.job_id == job.id), None)
        scored = sum(face.job_id == job.id and face.score is not None for face in faces)
        if counted != scored:
            wrong.append(f"{job.name}: {counted} scored faces in its verdict, {scored} in its rows")
    return wrong


def in_work(installation: Installation) -> int:
    return len(installation.rows(Step, state="claimed"))


def ended(installation: Installation) -> int:
    return sum(job.ended_at is not None for job in installation.rows(Job))
