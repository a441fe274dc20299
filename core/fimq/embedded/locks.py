"""File locks: who may start the private stack, and whether its worker lives.

A lock is the kernel's (flock): it ends with its process, so that no stale file can lie.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock at `path`, waiting for it as long as it takes."""
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
        """Take the lock, or return False at once if another process has it."""
        handle = _open(self.path)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n{self.note}".encode())
        self._handle = handle
        return True

    def release(self) -> None:
        """Let go. Harmless when not held."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def holder(path: Path) -> int | None:
    """The pid that holds the lock at `path`, or None when nobody does."""
    if not path.exists():
        return None
    handle = _open(path)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(_content(handle)[0] or 0)
    else:
        return None
    finally:
        os.close(handle)


def note(path: Path) -> str:
    """What the holder of the lock at `path` says it is held for; empty when nobody does."""
    if holder(path) is None:
        return ""
    handle = _open(path)
    try:
        return _content(handle)[1]
    finally:
        os.close(handle)


def _content(handle: int) -> tuple[str, str]:
    pid, _, rest = os.pread(handle, 4096, 0).decode(errors="replace").partition("\n")
    return pid, rest


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
