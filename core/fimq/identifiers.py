"""Identifiers: UUIDv7, so that rows sort by time, and short ids that a person can type.

The first twelve hex digits of a UUIDv7 are its millisecond. `new_id` never gives the same
millisecond twice in one process, so that these digits alone name a job.
"""

from __future__ import annotations

import os
import threading
import time
import uuid

#: Characters of a short id: `0198f2ab-3c4d`, the millisecond with its dash.
SHORT = 13

_HEX = "0123456789abcdef"
_LEAST = str(uuid.UUID(int=0))
_GREATEST = str(uuid.UUID(int=2**128 - 1))

_lock = threading.Lock()
_last_ms = 0


def new_id() -> str:
    """A fresh UUIDv7 in canonical form (RFC 9562, 5.7)."""
    global _last_ms  # noqa: PLW0603 - one counter a process is the point
    with _lock:
        _last_ms = max(time.time_ns() // 1_000_000, _last_ms + 1)
        ms = _last_ms
    value = (ms & (2**48 - 1)) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


def short(identifier: str) -> str:
    """The part of an id that is shown to people."""
    return identifier[:SHORT]


def id_range(prefix: str) -> tuple[str, str] | None:
    """The least and greatest id that can begin with `prefix`; None where no id can.

    A range of whole ids is found by the index of a key in any order of words; LIKE is not.
    """
    fits = 0 < len(prefix) <= len(_LEAST) and all(
        character == "-" if least == "-" else character in _HEX
        for character, least in zip(prefix, _LEAST, strict=False)
    )
    if not fits:
        return None
    return prefix + _LEAST[len(prefix) :], prefix + _GREATEST[len(prefix) :]
