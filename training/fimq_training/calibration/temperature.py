"""Temperature: what brings a model's logits to calibrated ones, logit / temperature + bias.

Guo et al., "On Calibration of Modern Neural Networks", 2017, with a bias beside it (Platt,
1999): a model fitted on other prevalences than it is measured on is off by a constant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fimq.errors import CalibrationImpossible
from fimq.policy.pooling import expit, logit

#: Slopes of what a logit counts: one that tells the labels apart without a fault has no end, one
#: that tells nothing is refused.
FLATTEST, STEEPEST = 0.02, 20.0


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
    """The likeliest calibration, by Newton's method on two numbers, with steps that are halved.

    Args:
        logits: raw logits [N].
        labels: manipulated or not [N]; both must occur.
        weights: how much each row counts [N].

    Raises:
        CalibrationImpossible: no higher score means more likely manipulated.
    """
    goal = labels.astype(np.float64)
    design = np.stack([logits, np.ones_like(logits)], 1)

    def loss(line: NDArray[np.float64]) -> float:
        margins = design @ line
        return float(weights @ (np.logaddexp(0, margins) - goal * margins))

    # From the mean: a model may be far off as a whole.
    line = np.array([1.0, -float(np.average(logits, weights=weights))])
    for _ in range(100):
        expected = np.exp(-np.logaddexp(0, -(design @ line)))
        slope = design.T @ (weights * (expected - goal))
        bend = (design.T * (weights * expected * (1 - expected))) @ design
        step = np.linalg.solve(bend + 1e-9 * np.eye(2), slope)
        while loss(line - step) > loss(line) and float(np.abs(step).max()) > 1e-9:
            step = step / 2
        line = line - step
        line[0] = min(line[0], STEEPEST)
        if float(np.abs(step).max()) < 1e-9:
            break
    if not line[0] >= FLATTEST:  # nor where it is no number
        raise CalibrationImpossible(
            "Manipulated faces score no higher than real ones on the validation side: "
            "this model has learnt nothing that could be calibrated"
        )
    return Calibration(temperature=float(1 / line[0]), bias=float(line[1]))
