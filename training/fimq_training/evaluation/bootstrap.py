"""Intervals by drawing people, not pictures, again and again.

Pictures of one person are nearly one observation, so people (or videos where nobody is known)
are the units of chance: the percentile bootstrap over clusters (Davison and Hinkley,
"Bootstrap Methods and their Application", 1997, 3.8).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 1000
LEVEL = 95  #: per cent


@dataclass(frozen=True, slots=True)
class Interval:
    """A measured value with its interval; NaN where it could not be measured."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.2f}, {self.high:.2f}]"


Rows = NDArray[np.int64]


def interval(
    measure: Callable[[Rows], float],
    units: Sequence[str],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval:
    """Measure all rows, and rows of units drawn with replacement.

    The value is inside its interval, which is widened to it where few draws left it out.

    Args:
        measure: the value of some rows; the same row may come several times.
        units: of each row, the person or video that it is of.
        draws: how often.
        seed: of the draws.
    """
    names = sorted(set(units))
    numbers = np.searchsorted(names, units)
    order = np.argsort(numbers, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(draws):
        drawn = rng.integers(len(names), size=len(names))
        values.append(measure(np.concatenate([members[unit] for unit in drawn])))
    kept = np.array([value for value in values if not np.isnan(value)])
    edge = (100 - LEVEL) / 2
    low, high = np.percentile(kept, [edge, 100 - edge]) if len(kept) else (np.nan, np.nan)
    value = measure(np.arange(len(numbers)))
    # NaN, where nothing could be measured, is neither smaller nor larger: it stays.
    return Interval(value, float(np.minimum(low, value)), float(np.maximum(high, value)))


def wilson(hits: int, count: int, z: float = 1.959963984540054) -> Interval:
    """The Wilson score interval of a share (Wilson, 1927); 95 % by default."""
    if count == 0:
        return Interval(float("nan"), 0.0, 1.0)
    share = hits / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    reach = z / (1 + z * z / count) * np.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    # The share is inside; rounding alone could leave none or all of them out.
    low, high = min(share, middle - reach), max(share, middle + reach)
    return Interval(share, float(max(0, low)), float(min(1, high)))
