"""Operating points that hold for videos of every length.

The more windows a track has, the higher its strongest one by chance alone. A penalty that grows
with the logarithm of their number takes that away; how large it must be depends on the model's
scores. It is chosen such that one threshold gives the wanted rate of false positives for
streams of ten seconds as for streams of an hour, and then measured on other streams.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fimq_training.calibration.streams import LENGTHS, Logits, Pooled, Simulation

PENALTIES = tuple(float(p) for p in np.arange(0, 1.51, 0.05).round(2))  #: that are tried
STREAMS = 400  #: of each length
TOLERATED = 1.5  #: times the wanted rate, before a threshold is raised


@dataclass(frozen=True, slots=True)
class Chosen:
    """A penalty and a threshold, and what they do to simulated real videos."""

    penalty: float  #: logits a window loses for each e-fold of windows in a track
    threshold: float  #: pooled logit
    wanted: float  #: rate of false positives
    rates: dict[str, float]  #: measured, by length, on streams that were not chosen on
    any_frame: dict[str, float]  #: of the rule "any frame at or above", at its 10 s threshold


@dataclass(frozen=True, slots=True)
class Held:
    """A threshold that was there, and what it does to simulated real videos."""

    threshold: float  #: pooled logit, raised where it called too many
    rates: dict[str, float]  #: measured, by length, on streams that it was not raised on


def choose(
    videos: Sequence[Logits],
    wanted: float,
    *,
    penalties: Sequence[float] = PENALTIES,
    streams: int = STREAMS,
    seed: int = 0,
) -> Chosen:
    """Choose penalty and threshold for a rate of false positives of whole videos.

    Args:
        videos: logits of consecutive samples of each real video.
        wanted: the rate, in (0, 1).
        penalties: that are tried.
        streams: of each length, to choose by and as many to measure on.
        seed: of the simulation.
    """
    fit, check = (_simulated(videos, streams, seed=2 * seed + part) for part in (0, 1))
    ready = [Pooled.of(rows) for rows in fit.values()]

    def quantiles(penalty: float) -> list[float]:
        return [_threshold(one.at(penalty), wanted) for one in ready]

    def spread(penalty: float) -> float:
        return max(quantiles(penalty)) - min(quantiles(penalty))

    penalty = min(penalties, key=spread)
    # The strictest of all lengths: none is called more often than wanted.
    threshold = max(quantiles(penalty))
    alone = _threshold(fit["10 s"].max(1), wanted)
    return Chosen(
        penalty=penalty,
        threshold=threshold,
        wanted=wanted,
        rates={
            name: float(np.mean(Pooled.of(rows).at(penalty) >= threshold))
            for name, rows in check.items()
        },
        any_frame={name: float(np.mean(rows.max(1) >= alone)) for name, rows in check.items()},
    )


def hold(
    videos: Sequence[Logits],
    threshold: float,
    wanted: float,
    *,
    penalty: float,
    streams: int = STREAMS,
    seed: int = 0,
) -> Held:
    """Keep a threshold, or raise it where it calls more than 1.5 times what is wanted.

    For clips that are too short or few to choose a penalty by.

    Args:
        videos: logits of consecutive samples of each real video.
        threshold: pooled logit.
        wanted: rate of false positives at every length, in (0, 1).
        penalty: that tracks are pooled with.
        streams: of each length, to raise by and as many to measure on.
        seed: of the simulation.
    """
    fit, check = (
        {
            name: Pooled.of(rows).at(penalty)
            for name, rows in _simulated(videos, streams, seed=2 * seed + part).items()
        }
        for part in (0, 1)
    )
    if any(np.mean(values >= threshold) > TOLERATED * wanted for values in fit.values()):
        threshold = max(_threshold(values, wanted) for values in fit.values())
    return Held(
        threshold, {name: float(np.mean(values >= threshold)) for name, values in check.items()}
    )


def _simulated(
    videos: Sequence[Logits], count: int, *, seed: int
) -> dict[str, NDArray[np.float64]]:
    simulation = Simulation(seed=seed)
    return {name: simulation.streams(videos, length, count) for name, length in LENGTHS.items()}


def _threshold(values: NDArray[np.float64], wanted: float) -> float:
    """Just above the value that this share lies at or above."""
    return float(np.nextafter(np.quantile(values, 1 - wanted), np.inf))
