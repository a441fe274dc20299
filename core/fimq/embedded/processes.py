"""Processes: waiting until another process has ended, whether it is a child of ours or not.

A lock or a socket is let go a moment before its process is gone; `fimq down` promises that
nothing is left.
"""

from __future__ import annotations

import os
import select
import signal
from types import TracebackType
from typing import Self


class Watched:
    """Another process, held by a descriptor, so that its number cannot come to mean another."""

    def __init__(self, pid: int) -> None:
        """Hold the process `pid`; one that has ended already is fine."""
        try:
            self._handle: int | None = os.pidfd_open(pid)
        except ProcessLookupError:
            self._handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._handle is not None:
            os.close(self._handle)

    def ended(self, seconds: float) -> bool:
        """Wait so long for its end; whether it came."""
        if self._handle is None:
            return True
        end = select.poll()
        end.register(self._handle, select.POLLIN)
        return bool(end.poll(seconds * 1000))

    def send(self, which: signal.Signals) -> None:
        """Send it a signal. Harmless when it has ended."""
        if self._handle is None:
            return
        try:
            signal.pidfd_send_signal(self._handle, which)
        except ProcessLookupError:
            # It ended by itself; `ended` tells.
            return
