"""The default finder: MediaPipe's full-range model, run by OpenVINO.

Three looks. The whole picture, once as it is and once on a wider black ground (a face
that fills the picture is only found with room around it). Then small faces: in tiles of
the picture, or only around the hints. At last a second look at each find, in a square of
2.6 times its box: there all faces have the same size, so that boxes of large and small
ones agree, which crops depend on. A look around a hint is such a look already.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fimq_worker.vision.box import Box
from fimq_worker.vision.faces.base import FoundFace, Point
from fimq_worker.vision.faces.grid import GridDetector
from fimq_worker.vision.faces.tiles import tiles
from fimq_worker.vision.picture import Picture

_LEAST_SCORE: Final = 0.5
_LEAST_SECOND: Final = 0.4
_SECOND_LOOK: Final = 2.6
_SAME_FACE: Final = 0.3
_WIDER_GROUND: Final = 2.0


class FullRangeFinder:
    """Finds faces from `min_face` pixels on, up to those that fill the picture."""

    name = "mediapipe-full-range-sparse"

    def __init__(self, model: Path, min_face: float = 48) -> None:
        """Load the file of the face model `full_range_sparse`."""
        self._detector = GridDetector(model)
        self._min_face = min_face

    def find(self, picture: Picture, hints: Sequence[Box] = ()) -> list[FoundFace]:
        """Return every face once, the largest first."""
        whole = _whole(picture)
        looks = [whole, whole.scaled(_WIDER_GROUND)]
        known: list[FoundFace] = []
        if hints:
            known = _distinct(
                face for hint in hints for face in self._look(picture, _square(hint), _LEAST_SCORE)
            )
        else:
            looks += tiles(picture.width, picture.height, self._min_face)
        first = _distinct(
            face for look in looks for face in self._look(picture, look, _LEAST_SCORE)
        )
        others = [face for face in first if _is_apart(face, known)]
        second = [self._second_look(picture, face) for face in others]
        return sorted(
            _distinct([*known, *(face for face in second if face is not None)]),
            key=lambda face: (-face.box.area, face.box.x, face.box.y),
        )

    def _second_look(self, picture: Picture, face: FoundFace) -> FoundFace | None:
        """Return the face as seen with its own size filling the same part of the square.

        None where the second look sees no face there: such finds were false ones.
        """
        again = self._look(picture, _square(face.box), _LEAST_SECOND)
        best = max(again, key=lambda other: other.box.iou(face.box), default=None)
        return best if best is not None and not _is_apart(best, [face]) else None

    def _look(self, picture: Picture, square: Box, least: float) -> list[FoundFace]:
        """Return the distinct faces that one inference finds in a square of the picture."""
        image = _view(picture, square, self._detector.side)
        if image is None:
            return []
        found = self._detector.find(image, least)
        return _distinct(_placed(face, square) for face in found)


def _whole(picture: Picture) -> Box:
    """The square about the middle of the picture that holds all of it."""
    side = max(picture.width, picture.height)
    return Box((picture.width - side) // 2, (picture.height - side) // 2, side, side)


def _square(face: Box) -> Box:
    side = face.longer_side * _SECOND_LOOK
    centre_x, centre_y = face.centre
    return Box(centre_x - side / 2, centre_y - side / 2, side, side)


def _view(picture: Picture, square: Box, side: int) -> NDArray[np.uint8] | None:
    """A square of the picture as (side, side, 3), black outside; None if all of it is outside."""
    left, top = max(round(square.x), 0), max(round(square.y), 0)
    right = min(round(square.x + square.width), picture.width)
    bottom = min(round(square.y + square.height), picture.height)
    if right <= left or bottom <= top:
        return None
    columns = _canvas(left - square.x, right - square.x, square.width, side)
    rows = _canvas(top - square.y, bottom - square.y, square.height, side)
    image = np.zeros((side, side, 3), np.uint8)
    image[rows, columns] = picture.rgb(
        Box(left, top, right - left, bottom - top),
        columns.stop - columns.start,
        rows.stop - rows.start,
    )
    return image


def _canvas(start: float, stop: float, length: float, side: int) -> slice:
    """Where a stretch of a square comes to lie in its image; at least one pixel."""
    first = min(max(round(start / length * side), 0), side - 1)
    return slice(first, min(max(round(stop / length * side), first + 1), side))


def _placed(face: FoundFace, square: Box) -> FoundFace:
    """Bring a face from units of a square to the picture."""
    side = square.width
    box = Box(
        square.x + face.box.x * side,
        square.y + face.box.y * side,
        face.box.width * side,
        face.box.height * side,
    )
    points: list[Point] = [(square.x + x * side, square.y + y * side) for x, y in face.keypoints]
    return FoundFace(
        box, face.score, (points[0], points[1], points[2], points[3], points[4], points[5])
    )


def _distinct(faces: Iterable[FoundFace]) -> list[FoundFace]:
    """Keep of faces that overlap the one with the best score (non-maximum suppression)."""
    kept: list[FoundFace] = []
    for face in sorted(faces, key=lambda face: (-face.score, face.box.x, face.box.y)):
        if _is_apart(face, kept):
            kept.append(face)
    return kept


def _is_apart(face: FoundFace, others: Sequence[FoundFace]) -> bool:
    return all(face.box.iou(other.box) < _SAME_FACE for other in others)
