"""Inputs of a fit on matched crops: each fake beside the original that it was made from.

As in `inputs`, whatever is random is a function of (seed, epoch or step, place). Both crops of
a match are altered by one draw, so that nothing but the forgery tells them apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import structlog
import tensorflow as tf

from fimq.errors import OriginalsMissing
from fimq_training.crops.forging import DATASET
from fimq_training.crops.originals import Originals
from fimq_training.crops.table import Crop, CropTable
from fimq_training.fitting.alterations import Alterations
from fimq_training.fitting.draws import Draws
from fimq_training.fitting.inputs import altered, load

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Matches:
    """Fakes with their originals, by the method that made them."""

    table: CropTable
    by_method: Mapping[str, Sequence[tuple[Crop, Crop]]]  #: (original, fake); none is empty

    @classmethod
    def of(cls, table: CropTable) -> Matches:
        """Match the crops of one side of a split.

        Raises:
            OriginalsMissing: no fake has an original here.
        """
        originals, lost = Originals(table), 0
        found: dict[str, list[tuple[Crop, Crop]]] = {}
        for fake in (crop for crop in table.crops if crop.manipulated):
            original = originals.of(fake)
            if original is None:
                lost += 1
            else:
                found.setdefault(fake.collection, []).append((original, fake))
        if not found:
            raise OriginalsMissing(f"Of {lost} fake crops none has its original here")
        if lost:
            log.warning("fakes without an original are left out", crops=lost)
        return cls(table, found)

    @property
    def methods(self) -> tuple[str, ...]:
        """Every method, sorted."""
        return tuple(sorted(self.by_method))

    def shares(self, ours: float) -> list[float]:
        """The share of each method in a batch: of our own forgeries together, the rest evenly.

        Where there are only our own, or none, the methods have equal shares.
        """
        own = {m: rows[0][1].dataset == DATASET for m, rows in self.by_method.items()}
        count = {mine: sum(flag is mine for flag in own.values()) for mine in (True, False)}
        if not all(count.values()):
            return [1 / len(own)] * len(own)
        return [(ours if own[m] else 1 - ours) / count[own[m]] for m in self.methods]


class MatchedInputs:
    """Batches (images uint8 [2N, size, size, 3], label [2N], method [2N]): N reals, N fakes.

    The method is an index into `methods`; that of a real crop says nothing.
    """

    def __init__(
        self, matches: Matches, methods: Sequence[str], *, size: int, pairs: int, seed: int
    ) -> None:
        """Read nothing yet. `pairs` in a batch."""
        self._size, self._pairs, self._seed = size, pairs, seed
        self._paths: list[tuple[str, str]] = []
        self._methods: list[int] = []
        #: Where the matches of each method begin in the lists above, and how many they are.
        self._blocks: dict[str, tuple[int, int]] = {}
        for method in (m for m in methods if m in matches.by_method):
            rows = matches.by_method[method]
            self._blocks[method] = (len(self._paths), len(rows))
            self._paths += [
                (str(matches.table.path(original)), str(matches.table.path(fake)))
                for original, fake in rows
            ]
            self._methods += [methods.index(method)] * len(rows)

    def __len__(self) -> int:
        return len(self._paths)

    def drawn(
        self,
        shares: Sequence[float],
        alterations: Alterations,
        *,
        epoch: int,
        first: int,
        steps: int,
    ) -> Any:
        """The batches of an epoch of so many steps, from step `first` on.

        Args:
            shares: of each method that there is, in their order.
            alterations: of both crops of a match.
            epoch: from 1.
            first: from 0.
            steps: of an epoch.
        """
        sizes = [count for _, count in self._blocks.values()]
        draws = Draws(sizes, shares, count=self._pairs, seed=self._seed)
        starts = [start for start, _ in self._blocks.values()]
        rows = np.concatenate(
            [
                start + part
                for step in range((epoch - 1) * steps + first, epoch * steps)
                for start, part in zip(starts, draws.rows(step), strict=True)
            ]
        )
        places = np.arange(len(rows)) + first * self._pairs

        def read(place: Any, original: Any, fake: Any, method: Any) -> Any:
            seed = tf.stack([(self._seed * 100_003 + epoch) % 2**31, tf.cast(place, tf.int32)])
            both = [altered(load(path, self._size), alterations, seed) for path in (original, fake)]
            return (*both, method)

        data = tf.data.Dataset.from_tensor_slices((places, *self._columns(rows)))
        return self._batched(data.map(read, num_parallel_calls=tf.data.AUTOTUNE))

    def plain(self) -> Any:
        """Every match once, unaltered."""

        def read(original: Any, fake: Any, method: Any) -> Any:
            return load(original, self._size), load(fake, self._size), method

        data = tf.data.Dataset.from_tensor_slices(self._columns(np.arange(len(self))))
        return self._batched(data.map(read, num_parallel_calls=tf.data.AUTOTUNE))

    def _columns(self, rows: Any) -> tuple[Any, ...]:
        paths = np.array(self._paths)[rows]
        return paths[:, 0], paths[:, 1], np.array(self._methods, np.int64)[rows]

    def _batched(self, data: Any) -> Any:
        def joined(original: Any, fake: Any, method: Any) -> Any:
            labels = tf.concat([tf.zeros_like(method), tf.ones_like(method)], 0)
            images = tf.concat([original, fake], 0)
            return images, tf.cast(labels, tf.float32), tf.concat([method, method], 0)

        return data.batch(self._pairs).map(joined).prefetch(tf.data.AUTOTUNE)
