"""Simulated streams: what a real video of any length would score. A simulation, and called so.

Real video is short where it is free, and false positives of an hour matter. So streams of any
length are put together from the scores of real videos: scene after scene, each of one video
drawn at random (a long film shows many), and inside it blocks of consecutive scores, so that
neighbours stay alike as they are in life (the moving block bootstrap: Kuensch, "The Jackknife
and the Bootstrap for General Stationary Observations", 1989). What no short video shows, such as
a drift over hours, a simulation does not have either.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Logits = NDArray[np.float64]  #: of consecutive samples of one face

#: Lengths that are simulated, in seconds, at a sample a second (every 25th frame of 25).
LENGTHS = {"10 s": 10, "1 min": 60, "10 min": 600, "60 min": 3600}


@dataclass(frozen=True, slots=True)
class Simulation:
    """How streams are put together."""

    block: int = 8  #: consecutive samples of one video
    scene: int = 60  #: samples of one video before another is drawn
    seed: int = 0

    def streams(self, videos: Sequence[Logits], length: int, count: int) -> NDArray[np.float64]:
        """`count` streams of `length` samples each: [count, length].

        Args:
            videos: logits of the samples of each real video, in time.
            length: samples of a stream.
            count: streams.
        """
        rng = np.random.default_rng([self.seed, length])
        return np.stack(
            [np.concatenate([*self._scenes(videos, length, rng)]) for _ in range(count)]
        )

    def _scenes(self, videos: Sequence[Logits], length: int, rng: Generator) -> Iterator[Logits]:
        for start in range(0, length, self.scene):
            video = videos[int(rng.integers(len(videos)))]
            wanted, block = min(self.scene, length - start), min(self.block, len(video))
            firsts = rng.integers(len(video) - block + 1, size=-(-wanted // block))
            yield video[(firsts[:, None] + np.arange(block)).ravel()[:wanted]]


@dataclass(frozen=True, slots=True)
class Pooled:
    """Streams of one length, pooled but for the penalty."""

    whole: NDArray[np.float64]  #: trimmed mean of each stream
    strongest: NDArray[np.float64]  #: that of its strongest window
    windows: float  #: length over window; 1 or less: there are none

    @classmethod
    def of(cls, streams: NDArray[np.float64], window: int = 8) -> Self:
        """Pool streams [N, length] as `fimq.policy.pooling.pool` does faces of one quality.

        A trimmed mean is then one of sorted values: a tenth off each end, at least one.
        """
        whole, length = _trimmed(np.sort(streams, 1)), streams.shape[1]
        if length <= window:
            return cls(whole, whole, 1.0)
        windows = np.lib.stride_tricks.sliding_window_view(streams, window, axis=1)
        # A stream at a time: an hour of all of them does not fit into memory.
        strongest = np.array([_trimmed(np.sort(one, 1)).max() for one in windows])
        return cls(whole, strongest, length / window)

    def at(self, penalty: float) -> NDArray[np.float64]:
        """The pooled logits [N]."""
        highest: NDArray[np.float64] = np.maximum(
            self.whole, self.strongest - penalty * np.log(self.windows)
        )
        return highest


def _trimmed(ranked: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of rows of ascending values without a tenth of them at each end, at least one."""
    length = ranked.shape[1]
    if length < 3:
        return np.asarray(ranked.mean(1))
    cut = max(0.1 * length, 1.0)
    if 2 * cut >= length * (1 - 1e-9):
        return np.asarray(ranked[:, (length - 1) // 2])
    position = np.arange(length)
    weights = np.clip(np.minimum(position + 1, length - cut) - np.maximum(position, cut), 0, 1)
    return np.asarray(ranked @ weights / weights.sum())
