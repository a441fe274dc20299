"""The default finder: MediaPipe's full-range model, run by OpenVINO."""

from __future__ import annotations

from pathlib import Path

from fimq_worker.vision.faces.grid import GridDetector
from fimq_worker.vision.faces.search import SearchingFinder


class FullRangeFinder(SearchingFinder):
    """The search by the tflite file itself; needs no mediapipe, and phones nobody."""

    def __init__(self, model: Path, min_face: float = 48) -> None:
        """Load the file of the face model `full_range_sparse`."""
        super().__init__("mediapipe-full-range-sparse", GridDetector(model), min_face)
