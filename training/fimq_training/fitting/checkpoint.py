"""Checkpoints: all that a fit needs to go on exactly where it was.

The one before the latest is kept, so that a file that a lost power cut short costs some steps,
never the fit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import structlog
from numpy.typing import NDArray

from fimq.errors import ArraysDamaged, CheckpointDamaged
from fimq_training.arrays import Arrays, read_arrays, write_arrays

log = structlog.get_logger(__name__)


class Checkpoints:
    """The latest state of a fit and the one before it, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.latest, self.previous = folder / "state.npz", folder / "state.previous.npz"
        self._next = folder / "state.next.npz"

    def save(self, arrays: Arrays) -> None:
        """Write a state; the one that was the latest is the previous one then.

        Raises:
            DiskFull: there was no room; the states on disk are as they were.
        """
        write_arrays(self._next, arrays)
        if self.latest.exists():
            self.latest.replace(self.previous)
        self._next.replace(self.latest)

    def load(self) -> dict[str, NDArray[Any]] | None:
        """Read the latest state that is whole; None where there is none yet.

        Raises:
            CheckpointDamaged: there are states, and none can be read.
        """
        there = [path for path in (self.latest, self.previous) if path.exists()]
        for path in there:
            try:
                return read_arrays(path)
            except ArraysDamaged as error:
                log.warning("checkpoint not whole", path=str(path), error=error.message)
        if there:
            raise CheckpointDamaged(f"No checkpoint in {self.latest.parent} can be read")
        return None
