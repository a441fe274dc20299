"""Checkpoints: all that a fit needs to go on exactly where it was.

An npz of plain arrays; nothing in it can run, unlike a pickle. It appears under its name whole
or not at all, and the one before it is kept, so that a file that a full disk or a lost power
cut short costs some steps, never the fit.
"""

from __future__ import annotations

import errno
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from fimq.errors import CheckpointDamaged, DiskFull

log = structlog.get_logger(__name__)

Arrays = Mapping[str, NDArray[np.generic]]


class Checkpoints:
    """The latest state of a fit and the one before it, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.latest, self.previous = folder / "state.npz", folder / "state.previous.npz"

    def save(self, arrays: Arrays) -> None:
        """Write a state; the one that was the latest is the previous one then.

        Raises:
            DiskFull: there was no room; the states on disk are as they were.
        """
        part = self.latest.with_suffix(".part")
        write_arrays(part, arrays)
        if self.latest.exists():
            self.latest.replace(self.previous)
        part.replace(self.latest)

    def load(self) -> dict[str, NDArray[np.generic]] | None:
        """Read the latest state that is whole; None where there is none yet.

        Raises:
            CheckpointDamaged: there are states, and none can be read.
        """
        there = [path for path in (self.latest, self.previous) if path.exists()]
        for path in there:
            try:
                return read_arrays(path)
            except CheckpointDamaged as error:
                log.warning("checkpoint not whole", path=str(path), error=error.message)
        if there:
            raise CheckpointDamaged(f"No checkpoint in {self.latest.parent} can be read")
        return None


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Write arrays to an npz and wait until the disk has them; no half file is left.

    Raises:
        DiskFull: there was no room.
    """
    try:
        with path.open("wb") as out:
            np.savez(out, **arrays)  # type: ignore[arg-type] # the stub's keyword is allow_pickle
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFull(f"No room for {path.name} in {path.parent}") from error
        raise


def read_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """Read every array of an npz. Pickles are refused.

    Raises:
        CheckpointDamaged: it is not a whole npz.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise CheckpointDamaged(f"{path.name} is not whole") from error
