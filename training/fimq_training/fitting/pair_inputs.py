"""Inputs of a fit on pairs: shards of real and forged crops to batches.

A batch is n reals and then their n fakes. Which pairs it has, and which of them are mirrored,
is a function of (seed, step): each pool is gone through in an order of its own, again and
again, and every step takes so many of each. Pools stay on the disk: fits side by side share what
the system keeps of them in memory, and a pool may be larger than that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fimq.errors import PairsMissing
from fimq_training.arrays import map_arrays
from fimq_training.fitting.draws import Draws
from fimq_training.manipulations.landmarks import Pixels

MASK_CELL = 2  #: pixels of a stored mask in a cell of the map that the mask head gives


@dataclass(frozen=True, slots=True)
class Batch:
    """n reals and then their n fakes, in the same order."""

    images: NDArray[np.uint8]  #: [2n, size, size, 3]
    labels: NDArray[np.float32]  #: [2n], 1 for a fake
    masks: NDArray[np.float32]  #: [2n, size / 16, size / 16], the share of forgery; 0 for a real


class Pool:
    """All pairs of one folder."""

    def __init__(self, folder: Path) -> None:
        """Look at every shard.

        Raises:
            PairsMissing: there are none.
            ArraysDamaged: one is not whole.
        """
        paths = sorted(folder.glob("*.npz"))
        if not paths:
            raise PairsMissing(f"There are no pairs in {folder}")
        self._shards = [map_arrays(path) for path in paths]
        self._ends = np.cumsum([len(shard["real"]) for shard in self._shards])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def take(self, rows: NDArray[np.int64]) -> tuple[Pixels, Pixels, NDArray[np.uint8]]:
        """Reals, fakes and masks of rows, in their order; the shards are counted through."""
        shards = np.searchsorted(self._ends, rows, side="right")
        firsts = np.concatenate([[0], self._ends])[shards]
        places = list(zip(shards.tolist(), (rows - firsts).tolist(), strict=True))
        real, fake, mask = (
            np.stack([self._shards[shard][kind][row] for shard, row in places])
            for kind in ("real", "fake", "mask")
        )
        return real, fake, mask


class Mixture:
    """Batches from several pools, each with its share."""

    def __init__(self, pools: Sequence[tuple[Pool, float]], *, pairs: int, seed: int) -> None:
        """`pairs` in a batch."""
        self._pools, self._seed = [pool for pool, _ in pools], seed
        sizes, shares = [len(pool) for pool in self._pools], [share for _, share in pools]
        self._draws = Draws(sizes, shares, count=pairs, seed=seed)

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        """The batches of steps first to last, without the last."""
        for step in range(first, last):
            yield self.batch(step)

    def batch(self, step: int) -> Batch:
        """The batch of a step, counted from 0."""
        drawn = zip(self._pools, self._draws.rows(step), strict=True)
        parts = [pool.take(rows) for pool, rows in drawn if len(rows)]
        real, fake, mask = (np.concatenate(kind) for kind in zip(*parts, strict=True))
        flips = np.random.default_rng([self._seed, 99, step]).random(len(real)) < 0.5
        return _batch(*(_mirrored(kind, flips) for kind in (real, fake, mask)))

    def rounds(self, step: int) -> list[float]:
        """How often each pool was gone through before a step."""
        return self._draws.rounds(step)


def _batch(real: Pixels, fake: Pixels, mask: NDArray[np.uint8]) -> Batch:
    pairs, side = len(real), mask.shape[1] // MASK_CELL
    cells = mask.reshape(pairs, side, MASK_CELL, side, MASK_CELL)
    small = (cells.mean((2, 4)) / 255).astype(np.float32)
    return Batch(
        images=np.concatenate([real, fake]),
        labels=np.repeat(np.array([0, 1], np.float32), pairs),
        masks=np.concatenate([np.zeros_like(small), small]),
    )


def _mirrored(pictures: NDArray[np.uint8], flips: NDArray[np.bool_]) -> NDArray[np.uint8]:
    result = pictures.copy()
    result[flips] = result[flips, :, ::-1]
    return result
