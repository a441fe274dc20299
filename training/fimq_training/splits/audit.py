"""The leak audit: what stands on two sides of a split that should stand on one.

Three leaks, each with an error of its own: a person, a video, a picture. A picture leaks when
another side has one that looks the same: the same still in two data sets, the same frame under
two names. Those are found by difference hashes (Krawetz, "Kind of Like That", 2013; 64 bits of
left-to-right brightness) and then believed only when the pictures correlate, because faces
that are cut alike have similar hashes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from fimq.errors import SplitSharesIdentity, SplitSharesPicture, SplitSharesVideo, TrainingError
from fimq_training.crops.pictures import picture
from fimq_training.crops.table import Crop, CropTable
from fimq_training.splits.split import Side, Split

BITS = 4  #: that the hashes of two pictures that look the same may differ by
ALIKE = 0.985  #: correlation of 32 x 32 grey pixels from which on two pictures are the same
_SIZE = 32


@dataclass(frozen=True, slots=True)
class Leak:
    """One thing on two sides."""

    error: type[TrainingError]
    what: str  #: the person, the video, or one of the pictures
    sides: tuple[Side, Side]
    example: str  #: a crop of the second side


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found."""

    people: list[Leak]
    videos: list[Leak]
    pictures: list[Leak]

    @property
    def leaks(self) -> list[Leak]:
        """All of them, the worst kind first."""
        return [*self.people, *self.videos, *self.pictures]

    def stop(self) -> None:
        """End the run if anything leaks.

        Raises:
            SplitSharesIdentity, SplitSharesVideo, SplitSharesPicture: the worst kind found; the
                message counts the rest.
        """
        if self.leaks:
            first = self.leaks[0]
            one, other = first.sides
            text = f"{first.what} is in {one} and in {other}, as {first.example}"
            raise first.error(f"{text} ({self.counts})")

    @property
    def counts(self) -> str:
        """How much of each, in words."""
        return (
            f"{len(self.people)} people, {len(self.videos)} videos, "
            f"{len(self.pictures)} pictures on two sides"
        )


def audit(table: CropTable, split: Split, *, pictures: bool = True) -> Audit:
    """Look for leaks between the sides of a split.

    Args:
        table: the crops that the split is of.
        split: what to look at.
        pictures: read every crop and look for those that are the same.

    Raises:
        CropsMissing, CropsDamaged: a crop that the split names is not there.
    """
    used = table.rows(split.sides)
    return Audit(
        people=_shared(used, split, lambda crop: crop.identities, SplitSharesIdentity),
        videos=_shared(
            used, split, lambda crop: (f"{crop.dataset}/{crop.video}",), SplitSharesVideo
        ),
        pictures=list(_same_pictures(used, split)) if pictures else [],
    )


def _shared(
    table: CropTable,
    split: Split,
    names: Callable[[Crop], Iterable[str]],
    error: type[TrainingError],
) -> list[Leak]:
    seen: dict[str, Side] = {}
    leaks: dict[str, Leak] = {}
    for crop in table.crops:
        side = split.sides[crop.key]
        for name in names(crop):
            first = seen.setdefault(name, side)
            if first is not side and name not in leaks:
                leaks[name] = Leak(error, name, (first, side), crop.key)
    return list(leaks.values())


def _same_pictures(table: CropTable, split: Split) -> Iterator[Leak]:
    if not len(table):
        return
    small = np.stack([_small(table, crop) for crop in table.crops])
    flat = small.reshape(len(small), -1).astype(np.float32)
    flat -= flat.mean(1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    sides = [split.sides[crop.key] for crop in table.crops]
    groups = np.array([list(Side).index(side) for side in sides])
    told: set[int] = set()
    for one, other in near(difference_hashes(small), groups):
        if other not in told and float(flat[one] @ flat[other]) >= ALIKE:
            told.add(other)
            keys = table.crops[one].key, table.crops[other].key
            yield Leak(SplitSharesPicture, keys[0], (sides[one], sides[other]), keys[1])


def difference_hashes(grey: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """One 64-bit hash of each picture [N, h, w]: is a pixel of 9 x 8 brighter than its left one."""
    tiny = np.stack([cv2.resize(g, (9, 8), interpolation=cv2.INTER_AREA) for g in grey])
    bits = (tiny[:, :, 1:].astype(np.int16) > tiny[:, :, :-1]).reshape(len(grey), 64)
    return np.packbits(bits, axis=1).view(">u8").ravel().astype(np.uint64)


def near(
    hashes: NDArray[np.uint64], groups: NDArray[np.int64], bits: int = BITS
) -> Iterator[tuple[int, int]]:
    """Pairs of two groups whose hashes differ by at most `bits`, the lower index first.

    Of bits + 1 bands, two such hashes have one in common (pigeonhole), so only hashes that
    share a band are compared (Norouzi et al., "Fast Search in Hamming Space with Multi-Index
    Hashing", 2012).
    """
    edges = [round(64 * band / (bits + 1)) for band in range(bits + 2)]
    found: set[tuple[int, int]] = set()
    for low, high in pairwise(edges):
        bands = (hashes >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
        for rows in _equal(bands):
            for place, one in enumerate(rows[:-1]):
                others = rows[place + 1 :]
                others = others[groups[others] != groups[one]]
                apart = np.bitwise_count(hashes[others] ^ hashes[one])
                for other in others[apart <= bits]:
                    pair = (int(one), int(other))
                    if pair not in found:
                        found.add(pair)
                        yield pair


def _equal(values: NDArray[np.uint64]) -> Iterable[NDArray[np.int64]]:
    """Rows with one value, ascending."""
    order = np.argsort(values, kind="stable")
    ends = np.flatnonzero(np.diff(values[order])) + 1
    return (rows for rows in np.split(order, ends) if len(rows) > 1)


def _small(table: CropTable, crop: Crop) -> NDArray[np.uint8]:
    grey = cv2.cvtColor(picture(table, crop, _SIZE), cv2.COLOR_RGB2GRAY)
    return np.asarray(grey, np.uint8)
