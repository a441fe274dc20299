"""The parent: who made this process, and without whom nobody waits for its work."""

from __future__ import annotations

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """End this process when its parent has ended, however it ended.

    A pool's processes are not told when theirs is killed: a fit would go on, and write into the
    folder in which the next run of the same command is fitting too.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, name="end with parent", daemon=True).start()
