"""Pools: folders of shards, read while they still grow, and batches drawn from several."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from fimq_training.manipulations.landmarks import Pixels

MASK_SIDE = 8  #: of the map that the network's mask head gives for crops of 128


@dataclass(frozen=True, slots=True)
class Batch:
    """n reals and then their n fakes, in the same order."""

    images: NDArray[np.uint8]  #: [2n, 128, 128, 3]
    labels: NDArray[np.float32]  #: [2n], 1 for a fake
    masks: NDArray[np.float32]  #: [2n, 8, 8], the share of forgery; 0 for a real


class Pool:
    """The pairs of one folder in an order of its own, those first that were never drawn."""

    def __init__(self, folder: Path, rng: Generator) -> None:
        self._folder, self._rng = folder, rng
        self._read: set[Path] = set()
        self._shards: list[tuple[Pixels, Pixels, NDArray[np.uint8]]] = []
        self._order: list[tuple[int, int]] = []
        self._at = 0
        self.rounds = 0  #: how often the whole pool was drawn
        self.refresh()

    def __len__(self) -> int:
        return len(self._order)

    def refresh(self) -> None:
        """Take in the shards that have appeared."""
        for path in sorted(set(self._folder.glob("*.npz")) - self._read):
            with np.load(path) as shard:
                self._shards.append((shard["real"], shard["fake"], shard["mask"]))
            self._read.add(path)
            fresh = [(len(self._shards) - 1, row) for row in range(len(self._shards[-1][0]))]
            rest = self._order[self._at :] + fresh
            self._rng.shuffle(rest)
            self._order = self._order[: self._at] + rest

    def take(self, count: int) -> list[tuple[Pixels, Pixels, NDArray[np.uint8]]]:
        """Draw pairs as (real, fake, mask); starts over only when no fresh ones are there."""
        if self._at + count > len(self._order):
            self.refresh()
        if self._at + count > len(self._order):
            self._rng.shuffle(self._order)
            self._at, self.rounds = 0, self.rounds + 1
        rows = self._order[self._at : self._at + count]
        self._at += count
        return [
            (self._shards[s][0][i], self._shards[s][1][i], self._shards[s][2][i]) for s, i in rows
        ]


class Mixture:
    """Batches from several pools, each with its share."""

    def __init__(self, shares: Sequence[tuple[Path, float]], seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._pools = [Pool(folder, self._rng) for folder, _ in shares]
        weights = np.array([share for _, share in shares])
        self._odds = weights / weights.sum()

    @property
    def smallest(self) -> int:
        """How many pairs the smallest pool has by now."""
        self.refresh()
        return min(len(pool) for pool in self._pools)

    @property
    def rounds(self) -> list[int]:
        """How often each pool was drawn as a whole."""
        return [pool.rounds for pool in self._pools]

    def refresh(self) -> None:
        """Take in new shards of every pool."""
        for pool in self._pools:
            pool.refresh()

    def batch(self, pairs: int) -> Batch:
        """Draw pairs, half of them mirrored."""
        counts = self._rng.multinomial(pairs, self._odds)
        rows = [
            row
            for pool, count in zip(self._pools, counts, strict=True)
            for row in pool.take(int(count))
        ]
        flips = self._rng.random(len(rows)) < 0.5
        real, fake, mask = (
            np.stack([a[:, ::-1] if flip else a for a, flip in zip(kind, flips, strict=True)])
            for kind in zip(*rows, strict=True)
        )
        step = mask.shape[1] // MASK_SIDE
        cells = mask.reshape(pairs, MASK_SIDE, step, MASK_SIDE, step)
        small = (cells.mean((2, 4)) / 255).astype(np.float32)
        return Batch(
            images=np.concatenate([real, fake]),
            labels=np.repeat(np.array([0, 1], np.float32), pairs),
            masks=np.concatenate([np.zeros_like(small), small]),
        )
