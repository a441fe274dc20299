"""A folder of classes: ROOT/CLASS/... with stills and videos of any depth below each.

Who is in them is not known; a split takes each video and each still for a person of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fimq.errors import ClassEmpty, DatasetMissing, UsageError
from fimq_training.datasets.base import STILLS, VIDEOS, Item, Option, below


@dataclass(frozen=True)
class FolderOfClasses:
    """The files of each class, of which some are named as manipulated."""

    root: Path
    manipulated: Sequence[str] = ()  #: classes of fakes; the others are real

    @property
    def options(self) -> Mapping[str, Option]:
        """See `DataSet`."""
        return {"manipulated": sorted(self.manipulated)}

    def items(self) -> list[Item]:
        """See `DataSet`."""
        classes = sorted(
            path.name
            for path in (self.root.iterdir() if self.root.is_dir() else ())
            if path.is_dir() and not path.name.startswith(".")
        )
        if not classes:
            raise DatasetMissing(f"{self.root} has no folders, each a class")
        if unknown := sorted(set(self.manipulated) - set(classes)):
            raise UsageError(f"--manipulated {unknown[0]}: {self.root} has {', '.join(classes)}")
        items = []
        for name in classes:
            fake = name in self.manipulated
            found = [
                Item(path, name, manipulated=fake, method=name if fake else None)
                for path in below(self.root, self.root / name, STILLS | VIDEOS)
            ]
            if not found:
                raise ClassEmpty(f"{self.root / name} has no pictures and no videos")
            items += found
        return sorted(items, key=lambda item: item.path)
