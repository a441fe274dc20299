"""The paper's splits: by image, as many of each class, whoever is on them.

Frames of one video, and pictures of one person, stand on several sides then, so that a figure
measured on such a split says how well a model knows these videos, not how well it knows
manipulation. They are here to compare with the paper, and say what they leak.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from fimq.errors import ClassEmpty
from fimq_training.crops.table import Crop, CropTable
from fimq_training.splits.split import Side, Split


@dataclass(frozen=True, slots=True)
class Counts:
    """Images of each class on each side."""

    train: int
    validation: int
    test: int

    def scaled(self, scale: float) -> Counts:
        """The same shares of fewer images, at least one a side."""
        return Counts(*(max(1, round(scale * count)) for count in self.of_sides.values()))

    @property
    def of_sides(self) -> Mapping[Side, int]:
        """By side."""
        return {
            Side.TRAIN: self.train,
            Side.VALIDATION: self.validation,
            Side.TEST: self.test,
        }

    @property
    def total(self) -> int:
        """Images of a class."""
        return self.train + self.validation + self.test


BINARY = Counts(53_595, 3_350, 10_049)  #: of fake and of real
SEVEN = Counts(14_000, 750, 2_000)  #: of each of seven classes


def binary(table: CropTable, *, scale: float = 1, seed: int = 1) -> Split:
    """As many fake as real crops, each in about equal parts from every collection.

    Raises:
        ClassEmpty: there are too few of one label.
    """
    return _split(table, BINARY.scaled(scale), seed, "paper", _label)


def by_collection(
    table: CropTable, *, collections: Collection[str] = (), scale: float = 1, seed: int = 1
) -> Split:
    """As many crops of each collection, of those that are named or of all.

    Raises:
        ClassEmpty: a collection has too few.
    """
    if collections:
        have = {crop.collection for crop in table.crops}
        if missing := sorted(set(collections) - have):
            raise ClassEmpty(
                f"There are no crops of {missing[0]}; there are {', '.join(sorted(have))}"
            )
        kept = [crop for crop in table.crops if crop.collection in collections]
        table = CropTable(kept, table.folders)
    return _split(table, SEVEN.scaled(scale), seed, "paper-7class", lambda crop: crop.collection)


def _split(
    table: CropTable, counts: Counts, seed: int, name: str, class_of: Callable[[Crop], str]
) -> Split:
    rng = np.random.default_rng(seed)
    sides: dict[str, Side] = {}
    classes: dict[str, list[Crop]] = {}
    for crop in table.crops:
        classes.setdefault(class_of(crop), []).append(crop)
    for label, mine in sorted(classes.items()):
        if len(mine) < counts.total:
            raise ClassEmpty(
                f"{label} has {len(mine)} crops, the split takes {counts.total}; "
                f"the largest --scale for it is {len(mine) / counts.total:.3g} of this one"
            )
        drawn = iter(_evenly(mine, counts.total, rng))
        for side, count in counts.of_sides.items():
            sides |= {next(drawn): side for _ in range(count)}
    facts = {
        "seed": str(seed),
        "fingerprint": table.fingerprint,
        "leaks": "by image: frames of one video and pictures of one person on several sides",
    }
    return Split(name, sides, "the paper's: by image", facts)


def _label(crop: Crop) -> str:
    return "fake" if crop.manipulated else "real"


def _evenly(crops: list[Crop], count: int, rng: Generator) -> list[str]:
    """`count` keys in random order, as many of each collection as there are."""
    queues: dict[str, list[str]] = {}
    for crop in crops:
        queues.setdefault(crop.collection, []).append(crop.key)
    for name in sorted(queues):
        rng.shuffle(queues[name])
    drawn: list[str] = []
    while len(drawn) < count:
        for name in sorted(queues):
            if queues[name] and len(drawn) < count:
                drawn.append(queues[name].pop())
    rng.shuffle(drawn)
    return drawn
