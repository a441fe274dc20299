"""Parity: whether a runtime gives a model's golden crops the scores they must get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from fimq.models.package import ModelPackage
from fimq_worker.runtimes.base import Runtime

#: f16 weights move scores by 1.3e-3, bf16 arithmetic by 8e-3: the first may serve.
MOST_DIFFERENCE: Final = 2e-3


@dataclass(frozen=True, slots=True)
class Parity:
    """How far a runtime is from the exporting framework."""

    difference: float  #: the largest, over all crops and classes
    flips: int  #: crops whose likeliest class is another one

    @property
    def passes(self) -> bool:
        """True if the runtime may judge."""
        return self.difference <= MOST_DIFFERENCE and self.flips == 0

    def __str__(self) -> str:
        return f"scores differ by up to {self.difference:.1e}, {self.flips} classes flip"


def measure(runtime: Runtime, package: ModelPackage) -> Parity:
    """Score the golden crops and compare.

    Raises:
        ModelInvalid: the runtime could not score them.
    """
    golden = package.golden
    scores = runtime.score(golden.crops)
    difference = float(np.abs(scores - golden.scores).max())
    flips = int(np.count_nonzero(scores.argmax(axis=1) != golden.scores.argmax(axis=1)))
    return Parity(difference, flips)
