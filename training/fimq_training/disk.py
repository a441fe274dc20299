"""The disk: that it is full is said in one way, whoever was writing."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fimq.errors import DiskFull

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def room_for(path: Path) -> Iterator[None]:
    """Say in words of ours that the disk is full; to be put around writing and nothing else.

    Raises:
        DiskFull: there is no room.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise DiskFull(f"No room on the disk of {path}") from error
        raise
