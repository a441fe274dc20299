"""How two workers on one Redis, PostgreSQL and bucket share videos, against one worker.

Both runs judge the same videos with a slot a worker: once with one worker, once with two. Each
job must end once, with each sample once; printed are wall clock, the steps of each worker, and
how the long video's segments were shared.

    python benchmarks/cluster_share.py FOLDER [--videos 40] [--long FILM]

FOLDER is searched for videos; FILM is one more, judged in the lane `archive`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from cluster import Cluster, cluster
from fimq.ledger.tables import Job, Step
from fimq.models import face_models
from fimq.settings import load_settings
from installation import until
from soak import Soaked, check, ended

SUFFIXES = {".avi", ".mkv", ".mov", ".mp4", ".mpg", ".ogv", ".webm"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--videos", type=int, default=40)
    parser.add_argument("--long", type=Path)
    arguments = parser.parse_args()
    found = sorted(path for path in arguments.folder.rglob("*") if path.suffix in SUFFIXES)
    # Evenly over the folder, so that every kind has its share.
    wanted = min(arguments.videos, len(found))
    videos = [found[number * len(found) // wanted] for number in range(wanted)]
    print(f"{len(videos)} videos" + (f" and {arguments.long.name}" if arguments.long else ""))
    wrong, seconds = [], []
    for machines in (1, 2):
        faults, took = run(videos, arguments.long, machines)
        wrong += faults
        seconds.append(took)
    print(f"two workers against one: {seconds[0] / seconds[1]:.2f} x as fast")
    for line in wrong:
        print("WRONG", line)
    return int(bool(wrong))


def run(videos: list[Path], long: Path | None, machines: int) -> tuple[list[str], float]:
    models = load_settings().face_models
    face_models.verify(models)
    with (
        tempfile.TemporaryDirectory() as folder,
        cluster(Path(folder), models, machines=machines) as made,
    ):
        made.start()
        desk, started = made.desk, time.monotonic()
        jobs = len(desk.documents("submit", "--lane", "archive", long)) if long else 0
        jobs += len(desk.documents("submit", *videos))
        until(lambda: ended(desk) == jobs, "the end of all jobs", 3600)
        took = time.monotonic() - started
        report(made, took)
        return check(desk, Soaked(jobs=desk.rows(Job))), took


def report(made: Cluster, took: float) -> None:
    desk = made.desk
    steps = desk.rows(Step)
    assert {step.fence for step in steps} == {1}, "a step was claimed twice"
    names = {row["id"]: f"worker {n}" for n, row in enumerate(desk.documents("workers"), 1)}
    print(f"\n{len(made.machines)} worker(s): {took:.0f} s for {len(desk.rows(Job))} jobs")
    for kind in ("plan", "segment", "finish"):
        shares = Counter(names[step.worker_id] for step in steps if step.kind == kind)
        told = ", ".join(f"{count} by {name}" for name, count in sorted(shares.items()))
        print(f"  {kind:<8} {told or 'none'}")
    begun = sum(asked.begins_download for asked in made.bucket.gateway.asked)
    print(f"  fetched from the store {begun} times")
    name = desk.environment["FIMQ_LEDGER_URL"].rpartition("/")[2]
    ((size,),) = made.postgres.execute(f"SELECT pg_database_size('{name}')")
    samples = sum(job.samples_done for job in desk.rows(Job))
    print(f"  ledger of {int(str(size)) / 1e6:.1f} MB, of which 8 MB are there without a job")
    print(f"  {samples} samples, {samples / took:.1f} a second")


if __name__ == "__main__":
    sys.exit(main())
