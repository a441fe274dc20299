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

    def rows(self, step: int) -> list[NDArray[np.int64]]:
        """The rows of each pool that a step takes, counted from 0."""
        return [self._walk(n, *self._span(n, step)) for n in range(len(self._sizes))]

    def rounds(self, step: int) -> list[float]:
        """How often each pool was gone through before a step."""
        return [self._taken(n, step) / size for n, size in enumerate(self._sizes)]

    def _span(self, number: int, step: int) -> tuple[int, int]:
        begin, end = (self._taken(number, s) for s in (step, step + 1))
        return begin, end - begin

    def _walk(self, number: int, first: int, count: int) -> NDArray[np.int64]:
        """Rows first to first + count of an endless walk: each round in an order of its own."""
        size, rows = self._sizes[number], []
        while count:
            around, at = divmod(first, size)
            order = np.random.default_rng([self._seed, number, around]).permutation(size)
            rows.append(order[at : at + count])
            first, count = first + len(rows[-1]), count - len(rows[-1])
        return np.concatenate(rows) if rows else np.zeros(0, np.int64)

    def _taken(self, number: int, steps: int) -> int:
        """Rows that the first `steps` steps take of a pool; the largest share makes up the rest."""
        total, largest = steps * self._count, int(np.argmax(self._shares))
        counts = (total * self._shares + 1e-9).astype(int)
        return int(total - counts.sum() + counts[largest] if number == largest else counts[number])
