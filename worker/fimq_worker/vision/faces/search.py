"""The search: how a detector that sees one small square finds every face of a picture.

Three looks. The whole picture, once as it is and once on a wider black ground (a face
that fills the picture is only found with room around it). Then small faces: in tiles of
the picture, or only around the hints. At last a second look at each find, in a square of
2.6 times its box: there all faces have the same size, so that boxes of large and small
ones agree, which crops depend on. A look around a hint is such a look already.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fimq_worker.vision.box import Box
from fimq_worker.vision.faces.base import Detector, FoundFace, keypoints_of
from fimq_worker.vision.faces.tiles import tiles
from fimq_worker.vision.picture import Picture

#: Chosen on free clips: false finds in the faceless ones reach .56, faces of signers who turn
#: away begin there, too (1 of 21 samples of the hardest clip is lost).
_LEAST_SCORE: Final = 0.58
_SECOND_LOOK: Final = 2.6
#: Seen in two squares, upright faces are surer upright by .2, upside-down ones by .13 the other
#: way round (196 and 100 portraits, one exception); in one square the two overlap.
_WIDER_LOOK: Final = 3.6
#: A second look this sure is not doubted. Upside-down faces reach .83.
_SURE: Final = 0.85
_SAME_FACE: Final = 0.3
_PART_OF_FACE: Final = 0.6
_WIDER_GROUND: Final = 2.5


class SearchingFinder:
    """Finds faces from `min_face` pixels on, up to those that fill the picture."""

    def __init__(self, name: str, detector: Detector, min_face: float = 48) -> None:
        """Search by a detector, which belongs to this finder from now on."""
        self.name = name
        self._detector = detector
        self._min_face = min_face

    def find(self, picture: Picture, hints: Sequence[Box] = ()) -> list[FoundFace]:
        """Return every face once, the largest first."""
        whole = _whole(picture)
        looks = [whole, whole.scaled(_WIDER_GROUND)]
        known: list[FoundFace] = []
        if hints:
            near = [self._second_look(picture, hint) for hint in hints]
            known = _distinct(face for face in near if face is not None)
            looks += [_square(hint) for hint, face in zip(hints, near, strict=True) if face is None]
        else:
            looks += tiles(picture.width, picture.height, self._min_face)
        first = _distinct(face for look in looks for face in self._look(picture, look))
        second = [self._second_look(picture, face.box) for face in first if _is_apart(face, known)]
        return sorted(
            _distinct([*known, *(face for face in second if face is not None)]),
            key=lambda face: (-face.box.area, face.box.x, face.box.y),
        )

    def _second_look(self, picture: Picture, box: Box) -> FoundFace | None:
        """Return the face of a box as seen with this size filling the same part of the square.

        None where there is no face with about this box: such finds were false ones. A face
        that is surer upside down is upside down; its keypoints then say so.
        """
        best = _at(box, self._look(picture, _square(box)))
        if best is None or best.score >= _SURE:
            return best
        turned = _at(box, self._look(picture, _square(box), upside_down=True))
        if turned is None:
            return best
        wide = _square(best.box, _WIDER_LOOK)
        upright_too = _at(box, self._look(picture, wide))
        turned_too = _at(box, self._look(picture, wide, upside_down=True))
        is_turned = turned.score + _score(turned_too) > best.score + _score(upright_too)
        return turned if is_turned else best

    def _look(self, picture: Picture, square: Box, *, upside_down: bool = False) -> list[FoundFace]:
        """Return the distinct faces that one inference finds in a square of the picture."""
        image = _view(picture, square, self._detector.side)
        if image is None:
            return []
        if upside_down:
            found = map(_turned, self._detector.find(image[::-1, ::-1], _LEAST_SCORE))
            return _distinct(_placed(face, square) for face in found)
        return _distinct(_placed(face, square) for face in self._detector.find(image, _LEAST_SCORE))


def _at(box: Box, faces: Sequence[FoundFace]) -> FoundFace | None:
    """The face that overlaps a box most, if it overlaps it enough to be the same."""
    best = max(faces, key=lambda face: face.box.iou(box), default=None)
    return best if best is not None and best.box.iou(box) >= _SAME_FACE else None


def _whole(picture: Picture) -> Box:
    """The square about the middle of the picture that holds all of it."""
    side = max(picture.width, picture.height)
    return Box((picture.width - side) // 2, (picture.height - side) // 2, side, side)


def _score(face: FoundFace | None) -> float:
    return 0.0 if face is None else face.score


def _square(face: Box, width: float = _SECOND_LOOK) -> Box:
    """The square about a face that is `width` times as wide."""
    side = face.longer_side * width
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


def _turned(face: FoundFace) -> FoundFace:
    """A face in units of a square that was turned by 180 degrees, turned back."""
    width, height = face.box.width, face.box.height
    box = Box(1 - face.box.x - width, 1 - face.box.y - height, width, height)
    return FoundFace(box, face.score, keypoints_of((1 - x, 1 - y) for x, y in face.keypoints))


def _placed(face: FoundFace, square: Box) -> FoundFace:
    """Bring a face from units of a square to the picture."""
    side = square.width
    box = Box(
        square.x + face.box.x * side,
        square.y + face.box.y * side,
        face.box.width * side,
        face.box.height * side,
    )
    keypoints = keypoints_of((square.x + x * side, square.y + y * side) for x, y in face.keypoints)
    return FoundFace(box, face.score, keypoints)


def _distinct(faces: Iterable[FoundFace]) -> list[FoundFace]:
    """Keep of faces that overlap the one with the best score (non-maximum suppression)."""
    kept: list[FoundFace] = []
    for face in sorted(faces, key=lambda face: (-face.score, face.box.x, face.box.y)):
        if _is_apart(face, kept):
            kept.append(face)
    return kept


def _is_apart(face: FoundFace, others: Sequence[FoundFace]) -> bool:
    """True if a face is none of the others, nor a part of one (an eye, seen in a tile)."""
    return all(
        face.box.iou(other.box) < _SAME_FACE
        and face.box.overlap(other.box) < _PART_OF_FACE * face.box.area
        for other in others
    )
