"""The MediaPipe detectors as functions: a square of RGB in, faces in [0, 1] out.

OpenVINO runs the tflite files as they are, in f32 and on one thread, so that every
machine finds the same faces. Both detectors answer one row for each anchor: a score and
8 pairs of numbers, all relative to the anchor's centre and in pixels of the input: the
centre of the box, its size, six keypoints.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from fimq_worker.vision.box import Box
from fimq_worker.vision.faces.base import FoundFace, keypoints_of

#: Side of the input: cells a side of each feature map, with the anchors a cell.
_ANCHORS: Final = {192: ((48, 1),), 128: ((16, 2), (8, 6))}


class GridDetector:
    """One detector file, loaded."""

    def __init__(self, model: Path) -> None:
        """Load a tflite file. OpenVINO reads this format from files only, not from memory."""
        core = ov.Core()
        core.set_property("CPU", {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"})
        self._network: Any = core.compile_model(core.read_model(str(model)), "CPU")
        self.side = int(self._network.input(0).shape[1])  #: of the square it looks at
        self._anchors = _anchors(self.side)

    def find(self, rgb: NDArray[np.uint8], least: float) -> list[FoundFace]:
        """Return what scores at least `least` in RGB (side, side, 3), best first, with doubles.

        Coordinates are in units of the side.
        """
        answer = self._network((rgb[None] / 127.5 - 1).astype(np.float32))
        logits, numbers = sorted(map(np.asarray, answer.values()), key=lambda part: part.size)
        scores = 1 / (1 + np.exp(-np.clip(logits.reshape(-1).astype(np.float64), -30, 30)))
        rows = numbers.reshape(-1, 16).astype(np.float64) / self.side
        found = np.flatnonzero(scores >= least)
        best_first = found[np.argsort(-scores[found], kind="stable")]
        return [_face(float(scores[i]), rows[i], self._anchors[i]) for i in best_first]


def _anchors(side: int) -> NDArray[np.float64]:
    """Centres of all anchors in [0, 1], row by row."""
    maps = []
    for cells, each in _ANCHORS[side]:
        middle = (np.arange(cells) + 0.5) / cells
        grid = np.stack(np.meshgrid(middle, middle), axis=-1).reshape(-1, 2)
        maps.append(np.repeat(grid, each, axis=0))
    return np.concatenate(maps)


def _face(score: float, numbers: NDArray[np.float64], anchor: NDArray[np.float64]) -> FoundFace:
    centre_x, centre_y = (numbers[:2] + anchor).tolist()
    width, height = numbers[2:4].tolist()
    points = (numbers[4:].reshape(6, 2) + anchor).tolist()
    box = Box(centre_x - width / 2, centre_y - height / 2, width, height)
    return FoundFace(box, score, keypoints_of((x, y) for x, y in points))
