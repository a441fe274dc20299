"""How long an urgent video waits behind a full archive lane, from submit to claim.

The archive lane is kept full of films; urgent clips are submitted one after the other. Printed
are the median and the 95th percentile of the wait, once with workers that serve every lane and
once with a slot of its own for `urgent`, beside the time that an archive segment takes.

    python benchmarks/urgent_wait.py [--urgent 50]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from awkward import FILM
from clips import Clip
from cluster import Cluster, cluster
from fimq.ledger.tables import Job, Step
from fimq.models import face_models
from fimq.settings import load_settings
from installation import until
from tinymodel import write_package


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--urgent", type=int, default=50)
    arguments = parser.parse_args()
    for lanes in ((), ("--lanes", "urgent")):
        wait(arguments.urgent, lanes)
    return 0


def wait(count: int, second: tuple[str, ...]) -> None:
    models = load_settings().face_models
    face_models.verify(models)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_package(folder / "models" / "default")
        # 15 seconds are an archive segment; every picture is a sample, so that it takes long.
        film = replace(FILM, frames=3000, gop=25).write(folder / "film.mp4")
        with cluster(folder, models) as made:
            made.machines[0].start()
            made.machines[1].start(*second)
            fill(made, film)
            jobs = [urgent(made, folder, film, number) for number in range(count)]
            told(made, jobs, second)


def fill(made: Cluster, film: Path) -> None:
    """See that the archive lane has more to do than there is time for."""
    waiting = [step for step in made.desk.rows(Step, lane="archive") if step.state == "ready"]
    if len(waiting) < 8:
        made.desk.run("submit", film, "--lane", "archive", "--every", "3", "--rescan")
        until(
            lambda: any(step.kind == "segment" for step in made.desk.rows(Step, state="ready")),
            "segments that wait",
        )


def urgent(made: Cluster, folder: Path, film: Path, number: int) -> str:
    fill(made, film)
    clip = Clip(frames=2 + number).write(folder / f"urgent-{number}.mp4")
    (document,) = made.desk.documents("submit", clip, "--lane", "urgent")
    job_id: str = document["job_id"]
    until(lambda: made.desk.job(job_id).ended_at, "the urgent verdict", 600)
    return job_id


def told(made: Cluster, jobs: list[str], second: tuple[str, ...]) -> None:
    rows = [made.desk.job(job_id) for job_id in jobs]
    waits = sorted(seconds(row) for row in rows)
    archive = [row for row in made.desk.rows(Job, lane="archive") if row.ended_at]
    parts = [
        (row.ended_at - row.started_at).total_seconds() / max(1, row.segments) for row in archive
    ]
    print("\nworkers: one of every lane and", "one for urgent" if second else "another")
    print(f"  urgent videos {len(waits)}")
    print(f"  wait to claim median {statistics.median(waits):.2f} s, p95 {quantile(waits):.2f} s")
    print(f"  archive       {len(archive)} films done", end="")
    print(f", a segment every {statistics.median(parts):.1f} s" if parts else "")


def seconds(row: Job) -> float:
    assert row.started_at is not None
    return (row.started_at - row.created_at).total_seconds()


def quantile(waits: list[float]) -> float:
    return waits[min(len(waits) - 1, int(0.95 * len(waits)))]


if __name__ == "__main__":
    sys.exit(main())
