"""Temperature: what brings a model's logits to calibrated ones, logit / temperature + bias.

Guo et al., "On Calibration of Modern Neural Networks", 2017, with a bias beside it (Platt,
1999): a model fitted on other prevalences than it is measured on is off by a constant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fimq.policy.pooling import expit, logit


@dataclass(frozen=True, slots=True)
class Calibration:
    """What turns a model's logit into a calibrated one: logit / temperature + bias."""

    temperature: float
    bias: float

    def apply(self, score: float) -> float:
        """The calibrated score of a raw one."""
        return expit(logit(score) / self.temperature + self.bias)


def fit(
    logits: NDArray[np.float64], labels: NDArray[np.bool_], weights: NDArray[np.float64]
) -> Calibration:
    """The likeliest calibration, by Newton's method on two numbers.

    Args:
        logits: raw logits [N].
        labels: manipulated or not [N]; both must occur.
        weights: how much each row counts [N].
    """
    goal = labels.astype(np.float64)
    design = np.stack([logits, np.ones_like(logits)], 1)
    line = np.array([1.0, 0.0])
    for _ in range(50):
        expected = 1 / (1 + np.exp(-design @ line))
        slope = design.T @ (weights * (expected - goal))
        bend = (design.T * (weights * expected * (1 - expected))) @ design
        step = np.linalg.solve(bend + 1e-9 * np.eye(2), slope)
        line = line - step
        if float(np.abs(step).max()) < 1e-9:
            break
    return Calibration(temperature=float(1 / line[0]), bias=float(line[1]))
