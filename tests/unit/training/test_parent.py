import contextlib
import os
import signal
import subprocess
import sys

import pytest

PARENT = """
import multiprocessing, sys, time
from concurrent.futures import ProcessPoolExecutor
from fimq_training.parent import end_with_parent

def busy(_):
    import os
    print(os.getpid(), flush=True)
    while True:
        sum(range(10_000))

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=end_with_parent) as pool:
        pool.submit(busy, 0).result()
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_busy_process_ends_when_its_parent_is_killed(tmp_path, how):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    watched = os.pidfd_open(child)
    try:
        parent.send_signal(how)
        parent.wait()
        # Its end of the pipe closes when the last process that holds it has ended.
        assert parent.stdout.read() == ""
    finally:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(watched, signal.SIGKILL)
        os.close(watched)
        parent.stdout.close()


def test_a_process_that_nobody_made_goes_on():
    from fimq_training.parent import end_with_parent

    end_with_parent()
