"""Processes of a pool end with the one that made them, however it was killed."""

import contextlib
import os
import select
import signal
import subprocess
import sys

import pytest

from extras import need

WAIT_MS = 60_000

BRANCHES = """
import os
from fimq_training.fitting.side_by_side import side_by_side

class Busy:
    def run(self):
        print(os.getpid(), flush=True)
        while True:
            sum(range(10_000))
        yield

if __name__ == "__main__":
    list(side_by_side([Busy(), Busy()]))
"""

MAKERS = """
import multiprocessing, sys
from pathlib import Path
from fimq_training.manipulations.filling import SHARD, Filling
from fimq_training.manipulations.pairs import Drawing

if __name__ == "__main__":
    samples, folder = map(Path, sys.argv[1:])
    filling = Filling(samples, folder, pairs=50 * SHARD, seed=1, drawing=Drawing())
    for _ in filling.run():
        print(multiprocessing.active_children()[0].pid, flush=True)
"""


@pytest.mark.parametrize("script", [BRANCHES, MAKERS], ids=["branches", "makers"])
def test_a_busy_process_ends_when_its_parent_is_killed(tmp_path, samples, script):
    if script is BRANCHES:
        need("tensorflow", extra="training")
        if len(os.sched_getaffinity(0)) < 2:
            pytest.skip("fits run side by side on two cores and more")
    samples.save(tmp_path / "samples.npz")
    (tmp_path / "parent.py").write_text(script)
    with subprocess.Popen(
        [sys.executable, tmp_path / "parent.py", tmp_path / "samples.npz", tmp_path / "pairs"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as parent:
        try:
            child = os.pidfd_open(int(parent.stdout.readline()))
            parent.kill()
            ended = select.poll()
            ended.register(child, select.POLLIN)
            assert ended.poll(WAIT_MS), "it goes on without its parent"
            os.close(child)
        finally:
            # Whatever failed, none of them may stay: they would use all cores, or fill the disk.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(parent.pid, signal.SIGKILL)
