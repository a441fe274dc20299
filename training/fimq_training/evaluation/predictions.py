"""Predictions: the scores that a model gave to crops, beside what the crops are.

A file (`predictions.parquet`) of its own, so that a figure can be drawn again, or another one,
without the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fimq.errors import CropsMissing, PredictionsDamaged
from fimq.policy.pooling import PoolingRule
from fimq_training.crops.pictures import picture
from fimq_training.crops.table import Crop, CropTable
from fimq_training.disk import room_for

#: Crops uint8 [N, size, size, 3] to class scores [N, K] that add up to 1.
Scorer = Callable[[NDArray[np.uint8]], NDArray[np.float64]]
BATCH = 64
_PENALTY = "window penalty"  #: beside the classes; with a space, as none of them is named


@dataclass(frozen=True, slots=True)
class Model:
    """What is measured: a fit, or a package."""

    name: str
    classes: tuple[str, ...]
    manipulated: tuple[bool, ...]  #: of each class
    size: int  #: side of its input in pixels
    scorer: Scorer
    calibrated: bool = False  #: whether its scores are
    pooling: PoolingRule = field(default_factory=PoolingRule)  #: of the scores of a video


@dataclass(frozen=True, slots=True)
class Predictions:
    """Class scores of crops."""

    crops: Sequence[Crop]
    classes: tuple[str, ...]
    manipulated: tuple[bool, ...]  #: of each class
    scores: NDArray[np.float64]  #: [N, K]
    pooling: PoolingRule = field(default_factory=PoolingRule)  #: the model's own, where it has one

    @classmethod
    def make(
        cls,
        table: CropTable,
        model: Model,
        altered: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] | None = None,
    ) -> Self:
        """Score every crop; `altered` is done to each before.

        Raises:
            CropsMissing: there are none.
            CropsDamaged: a file is missing.
        """
        if not len(table):
            raise CropsMissing("There are no crops on this side of the split")
        parts = []
        for start in range(0, len(table), BATCH):
            pictures = [picture(table, c, model.size) for c in table.crops[start : start + BATCH]]
            if altered is not None:
                pictures = [altered(one) for one in pictures]
            parts.append(model.scorer(np.stack(pictures)))
        scores = np.concatenate(parts)
        return cls(table.crops, model.classes, model.manipulated, scores, model.pooling)

    @property
    def labels(self) -> NDArray[np.bool_]:
        """Whether each crop is manipulated."""
        return np.array([crop.manipulated for crop in self.crops], np.bool_)

    @property
    def manipulated_scores(self) -> NDArray[np.float64]:
        """The sum over the manipulated classes, as a manifest has it: [N]."""
        total: NDArray[np.float64] = self.scores[:, np.array(self.manipulated)].sum(1)
        return total

    def write(self, path: Path) -> None:
        """Write keys and scores, whole or not at all.

        Raises:
            DiskFull: there was no room.
        """
        columns = {name: self.scores[:, i] for i, name in enumerate(self.classes)}
        facts = {
            name: str(int(flag)) for name, flag in zip(self.classes, self.manipulated, strict=True)
        }
        facts[_PENALTY] = str(self.pooling.window_penalty)
        table = pa.table({"key": [crop.key for crop in self.crops], **columns})
        part = path.with_suffix(".part")
        with room_for(path):
            pq.write_table(table.replace_schema_metadata(facts), part)
            part.replace(path)

    @classmethod
    def read(cls, path: Path, table: CropTable) -> Self:
        """Read what `write` wrote; the crops come from their own table.

        Raises:
            PredictionsDamaged: it cannot be read.
            CropsMissing: a crop is not in the table.
        """
        try:
            stored = pq.ParquetFile(path).read()
            keys = stored["key"].to_pylist()
            classes = tuple(name for name in stored.column_names if name != "key")
            facts = stored.schema.metadata or {}
            manipulated = tuple(facts[name.encode()] == b"1" for name in classes)
            scores = np.stack([stored[name].to_numpy() for name in classes], 1)
            pooling = PoolingRule(window_penalty=float(facts[_PENALTY.encode()]))
        except (OSError, pa.ArrowException, KeyError, ValueError) as error:
            raise PredictionsDamaged(f"{path} cannot be read") from error
        rows = {crop.key: crop for crop in table.rows(keys).crops}
        return cls([rows[key] for key in keys], classes, manipulated, scores, pooling)
