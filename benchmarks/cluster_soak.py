"""Upsets of several machines in mid-run, and how long each takes to be made good.

Two workers on one PostgreSQL, Redis and bucket judge films while, one after the other, a worker
is killed, the queue is emptied, the database is restarted and killed, and the queue is restarted
without its memory. Printed for each: seconds until a next step ended, and, for a kill, until the
very step that the worker held ended by another's hand, beside lease and sweep. In the end every
job must be there once, with every sample once.

    python benchmarks/cluster_soak.py [--films 30] [--rounds 2] [--lease 5] [--sweep 1]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from awkward import FILM
from cluster import Cluster, cluster
from fimq.ledger.tables import Job, Step, Worker
from fimq.models import face_models
from fimq.settings import load_settings
from installation import until
from soak import Soaked, check, ended
from tinymodel import write_package


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--lease", type=float, default=5)
    parser.add_argument("--sweep", type=float, default=1)
    arguments = parser.parse_args()
    models = load_settings().face_models
    face_models.verify(models)
    times = {
        "FIMQ_LEASE_SECONDS": str(arguments.lease),
        "FIMQ_SWEEP_SECONDS": str(arguments.sweep),
        "FIMQ_RING_SECONDS": "10",
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_package(folder / "models" / "default")
        films = [
            replace(FILM, frames=300 + number).write(folder / f"{number}.mp4")
            for number in range(arguments.films)
        ]
        with cluster(folder, models, **times) as made:
            made.start()
            started = time.monotonic()
            made.desk.documents("submit", *films, "--every", "2")
            for _ in range(arguments.rounds):
                upset(made)
            until(lambda: ended(made.desk) == len(films), "the end of all jobs", 1800)
            took = time.monotonic() - started
            wrong = check(made.desk, Soaked(jobs=made.desk.rows(Job)))
            told(made, took, arguments.lease, arguments.sweep)
    for line in wrong:
        print("WRONG", line)
    return int(bool(wrong))


def upset(made: Cluster) -> None:
    """Each upset once."""
    first, second = made.machines
    kill(made, 0)
    first.start()
    after(made, "FLUSHALL", made.redis.flush)
    after(made, "PostgreSQL restarted", made.postgres.restart)
    kill(made, 1)
    second.start()

    def queue_restarted() -> None:
        made.redis.stop()
        made.redis.start()

    def database_killed() -> None:
        made.postgres.kill()
        made.postgres.up()

    after(made, "Redis restarted, empty", queue_restarted)
    after(made, "PostgreSQL killed, started", database_killed)


def after(made: Cluster, what: str, do: Callable[[], None]) -> None:
    until(lambda: len(held(made)) == 2, "two steps in work")
    before = done(made)
    started = time.monotonic()
    do()
    until(lambda: done(made) > before, "a next result")
    print(f"{what:<28} next result after {time.monotonic() - started:.1f} s", flush=True)


def kill(made: Cluster, number: int) -> None:
    """Kill a worker while it holds a step; its step must end by somebody else's hand."""
    machine = made.machines[number]
    until(lambda: step_of(made, machine.pid), "a step of the worker")
    step = step_of(made, machine.pid)
    machine.kill()
    started = time.monotonic()
    (now,) = made.desk.rows(Step, id=step.id)
    if now.state == "done":
        print("killed between two steps")
        return
    until(lambda: made.desk.rows(Step, id=step.id)[0].fence > step.fence, "another's claim")
    claimed = time.monotonic() - started
    until(lambda: made.desk.rows(Step, id=step.id)[0].state == "done", "the step's end")
    print(
        f"worker killed                its step claimed again after {claimed:.1f} s, "
        f"done after {time.monotonic() - started:.1f} s",
        flush=True,
    )


def step_of(made: Cluster, pid: int) -> Step | None:
    workers = {row.id for row in made.desk.rows(Worker) if row.pid == pid}
    return next((step for step in held(made) if step.worker_id in workers), None)


def held(made: Cluster) -> list[Step]:
    return made.desk.rows(Step, state="claimed")


def done(made: Cluster) -> int:
    return len(made.desk.rows(Step, state="done"))


def told(made: Cluster, took: float, lease: float, sweep: float) -> None:
    steps, jobs = made.desk.rows(Step), made.desk.rows(Job)
    print(f"\nlease {lease:g} s, sweep {sweep:g} s")
    print(f"jobs        {len(jobs)}: {dict(Counter(job.state for job in jobs))} in {took:.0f} s")
    print(f"losses      {sum(step.losses for step in steps)}")
    print(f"executions that failed: {sum(step.executions for step in steps)}")


if __name__ == "__main__":
    sys.exit(main())
