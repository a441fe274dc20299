"""File locks: who may start the private stack, and whether its worker lives.

A lock is the kernel's (flock): it ends with its process, so that no stale file can lie. Who
asks for its holder takes it for an instant, shared; who takes it therefore tries for a while.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fimq.errors import ServiceError

_TAKE_SECONDS = 0.5
_PAUSE_SECONDS = 0.005


class StateUnusable(ServiceError):
    """The folder of the private queue cannot be used."""

    code = "state_unusable"
    hint = "Check the folder's rights and free space, or set FIMQ_STATE_DIR."


@contextmanager
def usable(folder: Path) -> Iterator[None]:
    """Say of a file that cannot be made or opened which folder it was in.

    Raises:
        StateUnusable: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise StateUnusable(f"{folder} cannot be used: {error.strerror or error}") from error


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock at `path`, waiting for it as long as it takes.

    Raises:
        StateUnusable: there can be no such file.
    """
    handle = _open(path)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class HeldLock:
    """A lock held for a process's life, with its pid and a note inside for who looks."""

    def __init__(self, path: Path, note: str = "") -> None:
        """Name the lock; `take` takes it. `note` says in one line what it is held for."""
        self.path = path
        self.note = note
        self._handle: int | None = None

    def take(self) -> bool:
        """Take the lock, or return False within a second if another process has it.

        Raises:
            StateUnusable: there can be no such file.
        """
        handle = _open(self.path)
        deadline = time.monotonic() + _TAKE_SECONDS
        while not _got(handle, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                os.close(handle)
                return False
            time.sleep(_PAUSE_SECONDS)
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n{self.note}".encode())
        self._handle = handle
        return True

    def add(self, line: str) -> None:
        """Add a line to the note of a lock that is held; nothing where it is not."""
        if self._handle is not None:
            os.write(self._handle, f"\n{line}".encode())

    def release(self) -> None:
        """Let go. Harmless when not held."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def holder(path: Path) -> int | None:
    """The pid that holds the lock at `path`, or None when nobody does."""
    return None if (held := _holder(path)) is None else held[0]


def notes(path: Path) -> list[str]:
    """What the holder of the lock at `path` says, by line: first what it is held for."""
    return [] if (held := _holder(path)) is None else held[1].split("\n")


def _holder(path: Path) -> tuple[int, str] | None:
    with usable(path.parent):
        if not path.exists():
            return None
    handle = _open(path)
    try:
        # Shared, so that two who ask at once do not take each other for its holder.
        while not _got(handle, fcntl.LOCK_SH):
            pid, _, rest = os.pread(handle, 4096, 0).decode(errors="replace").partition("\n")
            if pid.isdigit():
                return int(pid), rest
            # Taken just now, and not yet written.
            time.sleep(_PAUSE_SECONDS)
    finally:
        os.close(handle)
    return None


def _got(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open(path: Path) -> int:
    with usable(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
