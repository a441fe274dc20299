"""What was judged: one row a crop or a video, with its label, its score, and whose it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fimq.policy.pooling import Evidence, pool
from fimq_training.crops.table import Crop
from fimq_training.evaluation.predictions import Predictions

#: Edges of the bins of face size, in pixels of the displayed picture.
SIZES = (0, 64, 96, 128, 192, 10_000)


@dataclass(frozen=True, slots=True)
class Judged:
    """Rows that metrics are taken of."""

    labels: NDArray[np.bool_]  #: manipulated
    scores: NDArray[np.float64]
    units: tuple[str, ...]  #: the person of each row, or its video: what chance draws
    collections: tuple[str, ...]
    compressions: tuple[str, ...]  #: empty where the data set does not say
    sizes: NDArray[np.float64]  #: of the face in pixels; the median of a video's

    def __len__(self) -> int:
        return len(self.labels)

    def where(self, rows: NDArray[np.bool_]) -> Self:
        """Some rows."""

        def kept(values: Sequence[str]) -> tuple[str, ...]:
            return tuple(value for value, keep in zip(values, rows, strict=True) if keep)

        return type(self)(
            self.labels[rows],
            self.scores[rows],
            kept(self.units),
            kept(self.collections),
            kept(self.compressions),
            self.sizes[rows],
        )

    @classmethod
    def crops(cls, predictions: Predictions) -> Self:
        """One row a crop."""
        rows = predictions.crops
        return cls._of([[crop] for crop in rows], predictions.manipulated_scores)

    @classmethod
    def videos(cls, predictions: Predictions) -> Self:
        """One row a video, its crops pooled as a verdict pools a track, all of one quality.

        By the model's own rule, where it was calibrated with one.

        Where several people are in a video their faces are pooled together: crops know no
        tracks. `fimq evaluate` goes the whole way.
        """
        found: dict[str, list[int]] = {}
        for row, crop in enumerate(predictions.crops):
            found.setdefault(f"{crop.dataset}/{crop.video}", []).append(row)
        scores = [
            pool(
                [
                    Evidence(
                        crop.frame,
                        crop.time_s or 0.0,
                        float(predictions.manipulated_scores[row]),
                        1.0,
                    )
                    for row in rows
                    if (crop := predictions.crops[row])
                ],
                predictions.pooling,
            )
            for rows in found.values()
        ]
        crops = [[predictions.crops[row] for row in rows] for rows in found.values()]
        return cls._of(crops, np.array(scores))

    @classmethod
    def _of(cls, groups: Sequence[Sequence[Crop]], scores: NDArray[np.float64]) -> Self:
        firsts = [group[0] for group in groups]
        return cls(
            labels=np.array([crop.manipulated for crop in firsts], np.bool_),
            scores=scores,
            units=tuple(unit(crop) for crop in firsts),
            collections=tuple(crop.collection for crop in firsts),
            compressions=tuple(crop.compression or "" for crop in firsts),
            sizes=np.array([np.median([max(c.width, c.height) for c in g]) for g in groups]),
        )


def unit(crop: Crop) -> str:
    """Whose crop it is: its target, its first person, or its video."""
    if crop.identities:
        return crop.target if crop.target in crop.identities else crop.identities[0]
    return f"{crop.dataset}/{crop.video}"
