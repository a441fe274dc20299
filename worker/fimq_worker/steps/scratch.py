"""Scratch: a file without a name, gone when it is closed, whose faults are this worker's.

What is written to it comes from a child, and who reads it is the store: their faults are
theirs, so only what the file itself cannot do is called a fault of the scratch folder.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from fimq.errors import ScratchUnusable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


@contextmanager
def opened() -> Iterator[BinaryIO]:
    """An empty file to write and read.

    Raises:
        ScratchUnusable: it cannot be made; also while it is written, read or closed.
    """
    with _usable():
        made = tempfile.TemporaryFile()  # noqa: SIM115 - closed below; what is done there is not ours
    with made, io.BufferedRandom(_Raw(made.fileno(), "r+b", closefd=False)) as file:
        yield file


class _Raw(io.FileIO):
    """What reaches the disk."""

    def write(self, data: ReadableBuffer, /) -> int:
        with _usable():
            return super().write(data)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        with _usable():
            return super().readinto(buffer)


@contextmanager
def _usable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise ScratchUnusable(f"the bundle could not be written: {why}") from error
