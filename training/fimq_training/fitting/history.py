"""The history of a fit: one row an epoch, and what can be read from it.

It is part of the checkpoint, and the CSV file is written from it: a fit that was killed and
taken up again leaves the same rows as one that was not.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from operator import itemgetter
from pathlib import Path
from typing import Self

from fimq_training.disk import room_for


@dataclass(frozen=True, slots=True)
class Epoch:
    """What came out of an epoch. Losses are in nats, accuracies in [0, 1]."""

    epoch: int  #: from 1
    step: int  #: all steps done by its end
    rate: float  #: learning rate of its last step
    loss: float  #: mean over the epoch, as it went
    accuracy: float
    val_loss: float | None  #: at the epoch's end; None without validation
    val_accuracy: float | None


class History:
    """The epochs so far."""

    def __init__(self, epochs: Iterable[Epoch] = ()) -> None:
        self.epochs: list[Epoch] = list(epochs)

    def add(self, epoch: Epoch) -> None:
        """Append what came out of the next epoch."""
        self.epochs.append(epoch)

    @property
    def best(self) -> Epoch | None:
        """The epoch with the least validation loss (the first of equals); the last without."""
        judged = [(e.val_loss, e) for e in self.epochs if e.val_loss is not None]
        if not judged:
            return self.epochs[-1] if self.epochs else None
        return min(judged, key=itemgetter(0))[1]

    def is_over(self, patience: int | None) -> bool:
        """Whether so many epochs went by without a better validation loss."""
        best = self.best
        if patience is None or best is None or best.val_loss is None:
            return False
        return self.epochs[-1].epoch - best.epoch >= patience

    def write_csv(self, path: Path) -> None:
        """Write all rows anew, whole or not at all.

        Raises:
            DiskFull: there was no room.
        """
        part = path.with_suffix(".part")
        with room_for(path):
            with part.open("w", newline="", encoding="utf-8") as out:
                rows = csv.DictWriter(out, [field.name for field in fields(Epoch)])
                rows.writeheader()
                rows.writerows(asdict(epoch) for epoch in self.epochs)
            part.rename(path)

    def to_json(self) -> str:
        """Every row, exactly."""
        return json.dumps([asdict(epoch) for epoch in self.epochs])

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` gave."""
        return cls(Epoch(**row) for row in json.loads(text))
