"""Draws: which rows of which pool each step of a fit takes, as a function of (seed, step)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Draws:
    """Several pools, each gone through in an order of its own, again and again, by its share."""

    def __init__(
        self, sizes: Sequence[int], shares: Sequence[float], *, count: int, seed: int
    ) -> None:
        """Draw nothing yet.

        Args:
            sizes: rows of each pool; none is empty.
            shares: of each pool in every step; scaled to a sum of 1.
            count: rows that a step takes of all pools together.
            seed: of every order.
        """
        self._sizes, self._count, self._seed = sizes, count, seed
        self._shares = np.array(shares) / np.sum(shares)
        #: Rows of each pool that were taken before each step, as far as anybody asked.
        self._taken = [np.zeros(len(sizes), np.int64)]

    def rows(self, step: int) -> list[NDArray[np.int64]]:
        """The rows of each pool that a step takes, counted from 0."""
        before, after = self._until(step), self._until(step + 1)
        return [
            self._walk(number, int(before[number]), int(after[number] - before[number]))
            for number in range(len(self._sizes))
        ]

    def rounds(self, step: int) -> list[float]:
        """How often each pool was gone through before a step."""
        return [int(n) / size for n, size in zip(self._until(step), self._sizes, strict=True)]

    def _walk(self, number: int, first: int, count: int) -> NDArray[np.int64]:
        """Rows first to first + count of an endless walk: each round in an order of its own."""
        size, rows = self._sizes[number], []
        while count > 0:
            around, at = divmod(first, size)
            order = np.random.default_rng([self._seed, number, around]).permutation(size)
            rows.append(order[at : at + count])
            first, count = first + len(rows[-1]), count - len(rows[-1])
        return np.concatenate(rows) if rows else np.zeros(0, np.int64)

    def _until(self, step: int) -> NDArray[np.int64]:
        """Rows of each pool that all steps before this one take.

        Row by row, the pool that lags most behind a whole row of its share is served; where none
        does, that with the largest share.
        """
        largest = int(np.argmax(self._shares))
        while len(self._taken) <= step:
            taken, begun = self._taken[-1].copy(), (len(self._taken) - 1) * self._count
            for drawn in range(begun + 1, begun + self._count + 1):
                behind = np.floor(drawn * self._shares + 1e-9) - taken
                behind[largest] = 0.5
                taken[int(np.argmax(behind))] += 1
            self._taken.append(taken)
        return self._taken[step]
