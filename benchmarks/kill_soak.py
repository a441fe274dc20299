"""Kill workers at random moments while videos are judged, and see that nothing is lost.

Prints how many jobs ended how, what was counted, and how long the next result took after
each kill. Usage: python benchmarks/kill_soak.py [--videos 20] [--kills 5] [--seed 1]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from awkward import FILM
from fimq.models import face_models
from fimq.settings import load_settings
from installation import installed
from soak import check, soak
from tinymodel import write_package


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=20)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    folder_of_models = load_settings().face_models
    face_models.verify(folder_of_models)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_package(folder / "models" / "default")
        films = [
            replace(FILM, frames=100 + number).write(folder / f"{number}.mp4")
            for number in range(arguments.videos)
        ]
        with installed(folder, folder_of_models) as installation:
            soaked = soak(installation, films, kills=arguments.kills, seed=arguments.seed)
            wrong = check(installation, soaked)
            installation.run("down")
            left = installation.processes()
    if len(soaked.jobs) != len(films):
        wrong.append(f"{len(films)} videos were submitted, {len(soaked.jobs)} are in the ledger")
    states = Counter(job.state for job in soaked.jobs)
    print(f"seed        {arguments.seed}")
    print(f"videos      {len(soaked.jobs)}: {dict(states)}")
    print(f"kills       {soaked.kills}, queue emptied: {soaked.flushed}")
    print(f"losses      {soaked.losses}, executions that failed: {soaked.executions}")
    print(f"wall clock  {soaked.seconds:.1f} s")
    print("next result ", ", ".join(f"{seconds:.1f}" for seconds in soaked.recoveries), "s after")
    print(f"processes   {len(left)} left after `fimq down`")
    for line in wrong:
        print("WRONG      ", line)
    return int(bool(wrong or left))


if __name__ == "__main__":
    sys.exit(main())
