"""Filling a pool: its shards of pairs, made in as many processes as there are cores."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fimq_training.manipulations.pairs import Drawing, write_shard
from fimq_training.manipulations.samples import SampleSet
from fimq_training.parent import end_with_parent

SHARD = 256  #: pairs in a file


@dataclass(frozen=True, slots=True)
class Filling:
    """A pool that is to be."""

    samples: Path
    folder: Path
    pairs: int
    seed: int
    drawing: Drawing

    def run(self) -> Iterator[tuple[int, int]]:
        """Make the shards that are not there; yields how many are made of how many to make.

        Raises:
            BrokenProcessPool: a process was killed; what was made is there.
            DiskFull: there was no room.
        """
        firsts = range(0, self.pairs, SHARD)
        missing = [n for n in firsts if not (self.folder / f"{n:06d}.npz").exists()]
        if not missing:
            return
        with ProcessPoolExecutor(
            # Those of the machine may be many more than this process may use.
            len(os.sched_getaffinity(0)),
            # A fork would copy the locks of TensorFlow's threads, held or not.
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(self,),
        ) as makers:
            for number, _ in enumerate(makers.map(_fill, missing), start=1):
                yield number, len(missing)


class _Mine:
    """What a process was given."""

    filling: Filling
    samples: SampleSet


def _begin(filling: Filling) -> None:
    end_with_parent()
    _Mine.filling, _Mine.samples = filling, SampleSet.load(filling.samples)


def _fill(first: int) -> None:
    mine = _Mine.filling
    write_shard(
        _Mine.samples,
        mine.folder,
        seed=mine.seed,
        first=first,
        count=min(SHARD, mine.pairs - first),
        drawing=mine.drawing,
    )
