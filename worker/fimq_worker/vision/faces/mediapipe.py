"""The second finder: the mediapipe package itself, with the same model and the same search.

It is the reference that the default one is held to. Pinned to 0.10.33: the releases after it
send usage figures to their maker, the ones before it cannot run this model. Its library needs
libEGL and libGLESv2, though nothing is drawn.
"""

from __future__ import annotations

import sys
import weakref
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fimq.errors import FinderMissing
from fimq_worker.vision.box import Box
from fimq_worker.vision.faces.base import FoundFace, keypoints_of
from fimq_worker.vision.faces.search import SearchingFinder

RELEASE: Final = "0.10.33"
#: The model's input; a square of this size is not resized on the way.
_SIDE: Final = 192
#: What it answers at least; who asks for less would get too few.
_FLOOR: Final = 0.5


class MediaPipeFinder(SearchingFinder):
    """The search by the mediapipe package."""

    def __init__(self, model: Path, min_face: float = 48) -> None:
        """Load the file of the face model `full_range_sparse`.

        Raises:
            FinderMissing: the package is not installed, is another release, or cannot be loaded.
        """
        super().__init__(f"mediapipe-{RELEASE}", MediaPipeDetector(model), min_face)


class MediaPipeDetector:
    """mediapipe's FaceDetector as a `Detector`."""

    side = _SIDE

    def __init__(self, model: Path) -> None:
        """Load a tflite file.

        Raises:
            FinderMissing: see `MediaPipeFinder`.
        """
        self._package = _package()
        vision = self._package.tasks.vision
        options = vision.FaceDetectorOptions(
            base_options=self._package.tasks.BaseOptions(model_asset_path=str(model)),
            min_detection_confidence=_FLOOR,
        )
        try:
            self._detector: Any = vision.FaceDetector.create_from_options(options)
        except (RuntimeError, OSError) as error:
            raise FinderMissing(f"mediapipe {RELEASE} cannot be used here ({error})") from error
        # Left to the end of the interpreter, it would call what is gone by then.
        weakref.finalize(self, self._detector.close)

    def find(self, rgb: NDArray[np.uint8], least: float) -> list[FoundFace]:
        """Return what scores at least `least` (.5 or more) in RGB (192, 192, 3), best first."""
        if least < _FLOOR:
            raise ValueError(least)
        # Of an array that is not contiguous it silently finds nothing.
        image = self._package.Image(
            image_format=self._package.ImageFormat.SRGB, data=np.ascontiguousarray(rgb)
        )
        found = map(_face, self._detector.detect(image).detections)
        return sorted((face for face in found if face.score >= least), key=lambda face: -face.score)


def _face(detection: Any) -> FoundFace:
    box = detection.bounding_box
    # It gives a box in whole pixels, each number cut off: half a pixel is missing on average.
    corner_and_size = (
        (number + 0.5) / _SIDE for number in (box.origin_x, box.origin_y, box.width, box.height)
    )
    return FoundFace(
        Box(*corner_and_size),
        float(detection.categories[0].score),
        keypoints_of((float(point.x), float(point.y)) for point in detection.keypoints),
    )


def _package() -> Any:
    try:
        found = version("mediapipe")
        # It draws with matplotlib, which would write its caches; we draw nothing.
        absent = [name for name in ("matplotlib", "matplotlib.pyplot") if name not in sys.modules]
        stand_ins: dict[str, Any] = {name: ModuleType(name) for name in absent}
        # Of TensorFlow it wants a decorator for its docs, and goes without where there is none:
        # gigabytes that look for a place to write, in a child that has none.
        if "tensorflow" not in sys.modules:
            stand_ins["tensorflow"] = None
        sys.modules.update(stand_ins)
        try:
            import mediapipe  # noqa: PLC0415 - an extra
        finally:
            for name in stand_ins:
                del sys.modules[name]
    except (ImportError, OSError) as error:
        raise FinderMissing(f"mediapipe cannot be loaded ({error})") from error
    if found != RELEASE:
        raise FinderMissing(f"mediapipe {found} is installed; only {RELEASE} is used")
    return mediapipe
