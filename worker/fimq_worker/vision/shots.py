"""Shots: whether the picture was cut between two samples.

A cut changes the mix of colours, movement hardly does: compared are histograms of a tiny
picture with 4 levels a channel. Cheap, and wrong in both ways now and then; a missed cut
is caught by the distance of faces, a false one only splits a track.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fimq_worker.vision.picture import Picture

_CUT: Final = 0.5
_LEVELS: Final = 4
_WIDTH, _HEIGHT = 64, 36


def colours(picture: Picture) -> NDArray[np.float32]:
    """Return the picture's mix of colours: 64 parts that sum to 1."""
    small = picture.rgb(None, _WIDTH, _HEIGHT)
    counts = cv2.calcHist([small], [0, 1, 2], None, [_LEVELS] * 3, [0, 256] * 3)
    return np.asarray(counts.reshape(-1) / (_WIDTH * _HEIGHT), np.float32)


def is_cut(before: NDArray[np.float32], after: NDArray[np.float32]) -> bool:
    """True if more than half of the picture has other colours than before."""
    return float(np.abs(before - after).sum()) / 2 > _CUT
