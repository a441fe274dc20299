"""Orientation: a decoded frame as a viewer sees it, whatever its side data is like."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Any

import av

from fimq_worker.vision.picture import Picture
from fimq_worker.vision.samples import Samples


def upright(frame: av.VideoFrame, sample_aspect: Fraction) -> Picture:
    """The frame turned and mirrored as its container or EXIF says, with square pixels."""
    return Picture(
        Samples.of_frame(frame),
        rotation=frame.rotation,
        mirrored=is_mirrored(frame),
        sample_aspect_ratio=sample_aspect,
    )


def is_mirrored(frame: av.VideoFrame) -> bool:
    """Whether the display matrix mirrors: its determinant is negative, as no rotation's is."""
    try:
        matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:
        # av 18.1 lists no side data where it does not know a kind, as the EXIF of a JPEG.
        return False
    if matrix is None:
        return False
    a, b, _, c, d = struct.unpack("=5i", bytes(matrix)[:20])
    return bool(a * d - b * c < 0)


def quarter_turn(degrees: int) -> int:
    """0, 90, 180 or 270 as a picture is turned; other angles count as 0."""
    nearest = 90 * round(degrees / 90)
    return nearest % 360 if abs(degrees - nearest) <= 2 else 0
