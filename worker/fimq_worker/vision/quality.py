"""Quality: how much a face can tell, as one number in [0, 1].

The product of five factors, each 1 for a good face and falling in a straight line to 0:

| factor | 1 at or above | 0 at or below | measured as |
| --- | --- | --- | --- |
| size | 96 px | 16 px | longer side of the box, in the displayed picture |
| visible | 0.9 | 0.5 | part of the box inside the picture |
| sharpness | 0.25 | 0.04 | spread of the Laplacian over the spread of the grey crop |
| exposure | 20 and 50 % | 5 and 100 % | spread of grey levels; part of pixels near black or white |
| pose | 0.6 | 0 | how far the face looks into the camera, upright (`_pose`) |

A product, because one fault is enough: a sharp half of a face is still half a face.
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fimq_worker.vision.box import Box
from fimq_worker.vision.faces.base import FoundFace, Point

#: Faces of less quality are counted and not scored.
LEAST_USABLE: Final = 0.05
_LOOK_SIDE: Final = 96
_NEAR_BLACK: Final = 8
_NEAR_WHITE: Final = 247


def face_quality(face: FoundFace, crop: NDArray[np.uint8], width: int, height: int) -> float:
    """Return the quality of a face.

    Args:
        face: as found, in displayed coordinates.
        crop: its crop, RGB, as the classifier will see it.
        width: of the displayed picture, in pixels.
        height: of the displayed picture, in pixels.
    """
    grey = _middle(crop)
    visible = face.box.overlap(Box(0, 0, width, height)) / max(face.box.area, 1e-9)
    return (
        _ramp(face.box.longer_side, 16, 96)
        * _ramp(visible, 0.5, 0.9)
        * _ramp(_sharpness(grey), 0.04, 0.25)
        * _exposure(grey)
        * _ramp(_pose(face), 0, 0.6)
    )


def _ramp(value: float, low: float, high: float) -> float:
    return min(max((value - low) / (high - low), 0.0), 1.0)


def _middle(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The middle of a crop in grey, always at the same size, so that figures compare."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    edge = crop.shape[0] // 8
    inner = grey[edge : crop.shape[0] - edge, edge : crop.shape[1] - edge]
    area = cv2.resize(inner, (_LOOK_SIDE, _LOOK_SIDE), interpolation=cv2.INTER_AREA)
    return area.astype(np.float32)


def _sharpness(grey: NDArray[np.float32]) -> float:
    """Fine detail over all contrast; light and contrast cancel out. Blur takes the detail."""
    fine = float(cv2.Laplacian(grey, cv2.CV_32F).std())
    return fine / max(float(grey.std()), 1.0)


def _exposure(grey: NDArray[np.float32]) -> float:
    burnt = float(np.mean((grey <= _NEAR_BLACK) | (grey >= _NEAR_WHITE)))
    return _ramp(float(grey.std()), 5, 20) * _ramp(1 - burnt, 0, 0.5)


def _pose(face: FoundFace) -> float:
    """1 for a face that looks straight and upright at the camera, 0 in profile or upside down.

    Yaw is read from where the nose stands between the eyes, pitch from where it stands
    between eyes and mouth, roll from the line of the eyes.
    """
    eye, other_eye, nose, mouth = face.keypoints[:4]
    across = (other_eye[0] - eye[0], other_eye[1] - eye[1])
    middle = ((eye[0] + other_eye[0]) / 2, (eye[1] + other_eye[1]) / 2)
    span = math.hypot(*across)
    if span <= 0:
        return 0.0
    upright = max(across[0] / span, 0.0)
    down = (-across[1] / span, across[0] / span)
    aside = abs(_along(nose, middle, across) / span**2)
    to_mouth = _along(mouth, middle, down)
    if to_mouth <= 0:
        return 0.0
    low = _along(nose, middle, down) / to_mouth
    return upright * _ramp(0.5 - aside, 0, 0.3) * _ramp(0.5 - abs(low - 0.55), 0, 0.2)


def _along(point: Point, origin: Point, direction: Point) -> float:
    """How far a point lies from the origin in a direction, times the direction's length."""
    x, y = point[0] - origin[0], point[1] - origin[1]
    return x * direction[0] + y * direction[1]
