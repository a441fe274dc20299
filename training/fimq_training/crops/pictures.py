"""Pictures of crops, as arrays."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fimq.errors import CropsDamaged
from fimq_training.crops.table import Crop, CropTable


def picture(table: CropTable, crop: Crop, size: int) -> NDArray[np.uint8]:
    """One crop, uint8 RGB [size, size, 3]; resampled by area if it was stored at another size.

    Raises:
        CropsDamaged: its file is missing, or is not a picture.
    """
    stored = cv2.imread(str(table.path(crop)), cv2.IMREAD_COLOR)
    if stored is None:
        raise CropsDamaged(f"{table.path(crop)} is missing, or is not a picture")
    if stored.shape[:2] != (size, size):
        stored = cv2.resize(stored, (size, size), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(stored[:, :, ::-1], np.uint8)


def pictures(table: CropTable, size: int, count: int, seed: int = 0) -> NDArray[np.uint8]:
    """`count` crops drawn at random, all of them where there are fewer: [N, size, size, 3].

    Raises:
        CropsDamaged: as `picture`.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.permutation(len(table))[:count]
    return np.stack([picture(table, table.crops[int(row)], size) for row in drawn])
