"""What every runtime promises."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fimq.errors import ModelInvalid, RuntimeUnusable


class NoSuchPrecision(RuntimeUnusable):
    """The model cannot be computed in this precision."""

    code = "no_such_precision"


class Runtime(Protocol):
    """One model, loaded. Used by one thread at a time (see `batcher`)."""

    @property
    def name(self) -> str:
        """Which engine it is, as the setting `runtime` names it."""

    @property
    def version(self) -> str:
        """The engine's version, for the verdict."""

    @property
    def precision(self) -> str:
        """What it computes in: f32, bf16, ..."""

    def score(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the class scores (N, K) of crops (N, size, size, 3); N may be 0.

        The score of a crop does not depend on the others beyond rounding.

        Raises:
            ModelInvalid: the model answers in another shape, or with what is no score.
            GpuFailed: the GPU did not answer; the same crops may be scored again.
            GpuLost: nor will it answer this process again.
        """


def checked(answer: Any, count: int, classes: int) -> NDArray[np.float32]:
    """Return a network's answer if it is one row of class scores for each crop.

    Raises:
        ModelInvalid: it is not.
    """
    scores = np.asarray(answer, np.float32)
    if scores.shape != (count, classes):
        raise ModelInvalid(
            f"The model answers {scores.shape} to {count} crops; its manifest has {classes} classes"
        )
    if (
        not np.isfinite(scores).all()
        or scores.min(initial=0) < -1e-3
        or scores.max(initial=0) > 1.001
    ):
        raise ModelInvalid("The model answers with numbers that are no scores")
    return np.clip(scores, 0, 1)
