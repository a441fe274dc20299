"""A lock on a file that may be removed by who holds it.

It is the kernel's (flock), so that it ends with its process, and belongs to one opening of
the file, so that threads wait for each other as processes do. Closing the descriptor lets
go of it.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

_LOOK_AGAIN_S = 0.1


def take(path: Path, *, shared: bool = False, check: Callable[[], None] | None = None) -> int:
    """Take the lock at `path`, waiting for it as long as it takes; gives its descriptor.

    Args:
        path: the file; it is made.
        shared: let others share it.
        check: called now and then while another holds it; what it raises ends the waiting.

    Raises:
        OSError: there can be no such file.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    if check is None:
        return _take(path, kind)
    while True:
        try:
            return _take(path, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            check()
            # The kernel tells nobody that a lock became free but who sleeps on it.
            time.sleep(_LOOK_AGAIN_S)


def take_if_free(path: Path) -> int | None:
    """Take the lock at `path` alone, or give None at once where somebody else has it."""
    try:
        return _take(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None


def _take(path: Path, kind: int) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, kind)
            if _lies_at(handle, path):
                return handle
        except BaseException:
            os.close(handle)
            raise
        # Who held it before removed the file: a lock on it locks nothing.
        os.close(handle)


def _lies_at(handle: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    ours = os.fstat(handle)
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)
