"""Pictures: one frame as a viewer sees it, upright and with square pixels.

Every coordinate above this room is a displayed one: the frame's pixels are made square by
widening the shorter side (never by dropping samples), as browsers do, then the frame is
mirrored if its container says so, and turned. Only the regions that are asked for are
read, scaled and converted; the frame's own planes are never copied as a whole.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Final

import av
import numpy as np
from numpy.typing import NDArray

from fimq_worker.vision.box import Box
from fimq_worker.vision.samples import Samples, Span

#: Pixels longer than this are a broken header, and are read as square.
_LONGEST_PIXEL: Final = 16


class Picture:
    """A frame in displayed coordinates. Immutable; keeps the frame's memory alive."""

    def __init__(
        self,
        samples: Samples,
        *,
        rotation: int = 0,
        mirrored: bool = False,
        sample_aspect_ratio: Fraction | None = None,
    ) -> None:
        """Show `samples` mirrored if so, then turned by `rotation` degrees.

        Args:
            samples: the picture as stored.
            rotation: counter-clockwise, as PyAV's `frame.rotation`; anything that is not
                near a multiple of 90 is read as 0.
            mirrored: top and bottom are exchanged before turning. This is the order in which
                FFmpeg's rotation describes a matrix that mirrors.
            sample_aspect_ratio: width over height of a stored pixel; None or nonsense is 1.
        """
        self._samples = samples
        self._quarters = _quarters(rotation)
        self._mirrored = mirrored
        ratio = _pixel_ratio(sample_aspect_ratio)
        self._upright_width = round(samples.width * max(ratio, Fraction(1)))
        self._upright_height = round(samples.height / min(ratio, Fraction(1)))

    @classmethod
    def from_frame(
        cls,
        frame: av.VideoFrame,
        rotation: int = 0,
        sample_aspect_ratio: Fraction | None = None,
    ) -> Picture:
        """Return a decoded frame as a picture, mirrored if the frame's own matrix says so."""
        return cls(
            Samples.of_frame(frame),
            rotation=rotation,
            mirrored=_is_mirrored(frame),
            sample_aspect_ratio=sample_aspect_ratio,
        )

    @classmethod
    def from_rgb(cls, array: NDArray[np.uint8]) -> Picture:
        """Return RGB uint8 of shape (height, width, 3) as a picture."""
        if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or not array.size:
            msg = f"expected uint8 (height, width, 3), got {array.dtype} {array.shape}"
            raise ValueError(msg)
        return cls(Samples(np.ascontiguousarray(array)))

    @property
    def width(self) -> int:
        """Displayed columns."""
        return self._upright_height if self._quarters % 2 else self._upright_width

    @property
    def height(self) -> int:
        """Displayed rows."""
        return self._upright_width if self._quarters % 2 else self._upright_height

    def rgb(self, region: Box | None, width: int, height: int) -> NDArray[np.uint8]:
        """Return a region (None: all of it) scaled to RGB uint8 of shape (height, width, 3).

        The region's edges go to the nearest pixel. It is scaled by area, or linearly where
        it grows. What lies outside of the picture is mirrored in.

        Raises:
            ValueError: the region has no pixel in common with the picture.
        """
        if self._quarters % 2:
            width, height = height, width
        flat = self._samples.rgb(self._stored(self._edges(region)), width, height)
        upright = flat[::-1] if self._mirrored else flat
        return np.ascontiguousarray(np.rot90(upright, self._quarters))

    def _edges(self, region: Box | None) -> Span:
        if region is None:
            return Span(0, 0, self.width, self.height)
        left, top = _nearest(region.x), _nearest(region.y)
        right, bottom = _nearest(region.x + region.width), _nearest(region.y + region.height)
        return Span(left, top, max(right, left + 1), max(bottom, top + 1))

    def _stored(self, shown: Span) -> Span:
        """Where displayed pixels lie among the stored samples: unturn, unmirror, unstretch."""
        wide, high = self._upright_width, self._upright_height
        left, top, right, bottom = shown.left, shown.top, shown.right, shown.bottom
        if self._quarters == 1:
            left, top, right, bottom = wide - bottom, left, wide - top, right
        elif self._quarters == 2:
            left, top, right, bottom = wide - right, high - bottom, wide - left, high - top
        elif self._quarters == 3:
            left, top, right, bottom = top, high - right, bottom, high - left
        if self._mirrored:
            top, bottom = high - bottom, high - top
        across, down = self._samples.width / wide, self._samples.height / high
        left, top = _nearest(left * across), _nearest(top * down)
        right, bottom = _nearest(right * across), _nearest(bottom * down)
        return Span(left, top, max(right, left + 1), max(bottom, top + 1))


def _nearest(edge: float) -> int:
    return math.floor(edge + 0.5)


def _is_mirrored(frame: av.VideoFrame) -> bool:
    """True if the display matrix has a negative determinant, which no rotation has."""
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False
    a, b, _, c, d = np.frombuffer(matrix, "<i4")[:5].tolist()
    return bool(a * d - b * c < 0)


def _quarters(rotation: int) -> int:
    """Counter-clockwise quarter turns; 0 unless within two degrees of one."""
    turned = rotation % 360
    near = round(turned / 90)
    return near % 4 if abs(turned - 90 * near) <= 2 else 0


def _pixel_ratio(ratio: Fraction | None) -> Fraction:
    if ratio is None or not Fraction(1, _LONGEST_PIXEL) <= ratio <= _LONGEST_PIXEL:
        return Fraction(1)
    return ratio
