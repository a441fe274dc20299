"""Tiles: the squares in which a picture is searched for small faces.

A detector that shrinks what it sees to 192 pixels finds faces from about a twelfth of
the side on. Tiles of twelve times the smallest face cover a picture with an overlap of an
eighth; a picture much larger than that gets a layer of tiles four times as large, and so
on, until a look at the whole picture finds the rest.
"""

from __future__ import annotations

import math
from typing import Final

from fimq_worker.vision.box import Box

#: Side of the square over the width of the smallest face that is surely found in it.
REACH: Final = 12.0
_OVERLAP: Final = 1 / 8
_GROWTH: Final = 4
#: A picture this much larger than a tile is still seen well enough as a whole.
_SLACK: Final = 1.15


def tiles(width: int, height: int, min_face: float) -> list[Box]:
    """Return the squares beside the whole picture that find faces from `min_face` pixels on.

    Smallest tiles first, row by row, on even pixels; none when the whole picture will do.
    """
    found: list[Box] = []
    side = 2 * math.ceil(min_face * REACH / 2)
    while max(width, height) > side * _SLACK:
        found += [
            Box(left, top, side, side)
            for top in _starts(height, side)
            for left in _starts(width, side)
        ]
        side *= _GROWTH
    return found


def _starts(length: int, side: int) -> list[int]:
    """Where tiles begin along one axis: evenly spread, the first at 0, the last at the end."""
    if length <= side:
        return [0]
    steps = math.ceil((length - side) / (side * (1 - _OVERLAP)))
    return [2 * round((length - side) * step / steps / 2) for step in range(steps + 1)]
