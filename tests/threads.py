"""Threads of a worker that end with the test that started them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Thread(Protocol):
    """The heartbeat, the sweep: `end` waits until it is gone."""

    def start(self) -> None: ...

    def end(self) -> None: ...


@contextmanager
def running(thread: Thread) -> Iterator[None]:
    """Run it meanwhile. One that outlives a failed test logs into the output of those after it."""
    thread.start()
    try:
        yield
    finally:
        thread.end()
