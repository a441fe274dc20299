"""A folder of crops as `fimq train prepare` leaves one, made from numbers."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from fimq_training.crops.table import Crop, CropTable

SIZE = 16


def crop(name: str, *, manipulated: bool, collection: str) -> Crop:
    """One row."""
    return Crop(
        dataset="made",
        collection=collection,
        video=f"{name}.mp4",
        frame=0,
        ordinal=0,
        pts=0,
        time_s=0.0,
        x=0.0,
        y=0.0,
        width=64.0,
        height=64.0,
        detector_score=0.9,
        manipulated=manipulated,
        method=collection if manipulated else None,
        source=None,
        target=None,
        identities=(name,),
        codec="h264",
        compression=None,
        size=SIZE,
        file=f"faces/{name}.png",
        sha256="0" * 64,
    )


def make(folder: Path, count: int = 80) -> CropTable:
    """Write crops of which every second is a fake: a bright square in its middle."""
    rng, rows = np.random.default_rng(3), []
    (folder / "faces").mkdir(parents=True)
    for number in range(count):
        manipulated = number % 2 == 1
        picture = rng.integers(0, 160, (SIZE, SIZE, 3)).astype(np.uint8)
        if manipulated:
            picture[4:12, 4:12] += 90
        kind = "Deepfakes" if manipulated else "Youtube"
        row = crop(f"{number:03d}", manipulated=manipulated, collection=kind)
        cv2.imwrite(str(folder / row.file), picture)
        rows.append(row)
    CropTable(rows).write(folder)
    return CropTable.read(folder)
