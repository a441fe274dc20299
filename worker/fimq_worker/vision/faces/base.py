"""What every face finder promises."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fimq_worker.vision.box import Box
from fimq_worker.vision.picture import Picture

Point = tuple[float, float]
Keypoints = tuple[Point, Point, Point, Point, Point, Point]


@dataclass(frozen=True, slots=True)
class FoundFace:
    """A face in displayed coordinates. The box reaches from the brows to the chin."""

    box: Box
    score: float  #: the detector's own, in [0, 1]
    #: (x, y) of the eye and then the other eye (the one further left in an upright face
    #: first), tip of the nose, middle of the mouth, the ear by the first eye, the other ear
    keypoints: Keypoints


def keypoints_of(points: Iterable[Point]) -> Keypoints:
    """Return six points as keypoints."""
    eye, other_eye, nose, mouth, ear, other_ear = points
    return eye, other_eye, nose, mouth, ear, other_ear


class Detector(Protocol):
    """Finds faces in one small square. One instance belongs to one thread."""

    @property
    def side(self) -> int:
        """Of the square it looks at, in pixels."""

    def find(self, rgb: NDArray[np.uint8], least: float) -> list[FoundFace]:
        """Return what scores at least `least` in RGB (side, side, 3), best first.

        Coordinates are in units of the side. A face may be there twice.
        """


class FaceFinder(Protocol):
    """Finds faces in a picture. One instance belongs to one thread."""

    @property
    def name(self) -> str:
        """Which finder this is, for results and logs."""

    def find(self, picture: Picture, hints: Sequence[Box] = ()) -> list[FoundFace]:
        """Return every face once, the largest first; the same picture gives the same list.

        Args:
            picture: where to look.
            hints: where faces were a moment ago. With hints a finder may look for small
                faces there only; without, it looks everywhere. Large faces are found
                in either case.
        """
