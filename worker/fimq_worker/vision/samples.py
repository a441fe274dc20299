"""Samples: the numbers of one decoded picture, as stored, and regions of them as RGB.

Planar YUV of any depth and subsampling is read in place, so that a crop touches only the
rows it needs and no full-size RGB is ever made. Everything else (RGB, palettes, alpha,
packed and semi-planar formats) goes through swscale once and is RGB from then on.
Chroma is taken to lie in the middle of its luma samples.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Interpolation
from numpy.typing import NDArray

from fimq_worker.vision.colour import Colour

_PLANAR: Final = re.compile(
    r"yuvj?(?P<layout>4\d\d)p(?P<depth>9|10|12|14|16)?(le)?|gray(?P<grey>\d+)?(le)?"
)
_SHIFTS: Final = {
    "420": (1, 1),
    "422": (1, 0),
    "444": (0, 0),
    "440": (0, 1),
    "411": (2, 0),
    "410": (2, 2),
}

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Span:
    """A rectangle of whole samples: columns left to right, rows top to bottom (ends excluded)."""

    left: int
    top: int
    right: int
    bottom: int

    def clipped(self, width: int, height: int) -> Span:
        """The part inside a picture of this size."""
        return Span(
            max(self.left, 0), max(self.top, 0), min(self.right, width), min(self.bottom, height)
        )

    @property
    def is_empty(self) -> bool:
        """True when there is no sample in it."""
        return self.right <= self.left or self.bottom <= self.top


@dataclass(frozen=True, slots=True)
class Samples:
    """Either RGB (`main` of shape (height, width, 3), no colour) or YUV planes with a colour."""

    main: Array
    chroma: tuple[Array, Array] | None = None
    shift_x: int = 0
    shift_y: int = 0
    colour: Colour | None = None

    @property
    def width(self) -> int:
        """Columns as stored."""
        return int(self.main.shape[1])

    @property
    def height(self) -> int:
        """Rows as stored."""
        return int(self.main.shape[0])

    @classmethod
    def of_frame(cls, frame: av.VideoFrame) -> Samples:
        """Return the samples of a decoded frame. They share its memory where they can."""
        found = _PLANAR.fullmatch(frame.format.name)
        if found is None or any(plane.line_size <= 0 for plane in frame.planes):
            return cls(_through_swscale(frame))
        grey = found["layout"] is None
        depth = int(found["depth"] or found["grey"] or 8)
        full = frame.color_range == ColorRange.JPEG or (
            frame.color_range != ColorRange.MPEG and (grey or "j" in frame.format.name)
        )
        matrix = Colour.guess_matrix(frame.colorspace, frame.width, frame.height)
        colour = Colour(matrix, full, depth, int(frame.color_trc))
        planes = [_plane(plane, depth) for plane in frame.planes]
        if grey:
            return cls(planes[0], colour=colour)
        shift_x, shift_y = _SHIFTS[found["layout"]]
        return cls(planes[0], (planes[1], planes[2]), shift_x, shift_y, colour)

    def rgb(self, span: Span, width: int, height: int) -> NDArray[np.uint8]:
        """Return a span scaled to (height, width, 3), mirrored where it leaves the picture."""
        inside = span.clipped(self.width, self.height)
        if inside.is_empty:
            msg = f"{span} lies outside of {self.width}x{self.height}"
            raise ValueError(msg)
        if self._planes_can_go_alone(span, inside, width, height):
            scaled = self._planes_alone(inside, width, height)
        else:
            scaled = _resize(_mirror(self._together(inside), span, inside), width, height)
        return scaled if self.colour is None else self.colour.to_rgb(scaled)

    def _planes_can_go_alone(self, span: Span, inside: Span, width: int, height: int) -> bool:
        """True when every plane can be shrunk by itself, which spares doubling the chroma."""
        across, down = (1 << self.shift_x), (1 << self.shift_y)
        aligned = not any(
            (inside.left % across, inside.right % across, inside.top % down, inside.bottom % down)
        )
        smaller = inside.right - inside.left >= across * width and (
            inside.bottom - inside.top >= down * height
        )
        return self.chroma is not None and span == inside and aligned and smaller

    def _planes_alone(self, span: Span, width: int, height: int) -> Array:
        small = _chroma_span(span, self.shift_x, self.shift_y)
        assert self.chroma is not None  # noqa: S101
        parts = [_cut(self.main, span), *(_cut(plane, small) for plane in self.chroma)]
        return np.asarray(cv2.merge([_resize(part, width, height) for part in parts]))

    def _together(self, span: Span) -> Array:
        """The span with three channels at the luma's resolution."""
        main = _cut(self.main, span)
        if self.colour is None:
            return main
        if self.chroma is None:
            neutral = np.full_like(main, 1 << (self.colour.depth - 1))
            return np.asarray(cv2.merge([main, neutral, neutral]))
        doubled = [self._raise(plane, span) for plane in self.chroma]
        return np.asarray(cv2.merge([main, *doubled]))

    def _raise(self, plane: Array, span: Span) -> Array:
        """Chroma of a span at the luma's resolution, with one sample more around to blend with."""
        near = _chroma_span(span, self.shift_x, self.shift_y)
        wide = Span(near.left - 1, near.top - 1, near.right + 1, near.bottom + 1)
        wide = wide.clipped(int(plane.shape[1]), int(plane.shape[0]))
        part = _cut(plane, wide)
        rows, columns = part.shape[0] << self.shift_y, part.shape[1] << self.shift_x
        large = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_LINEAR)
        left, top = wide.left << self.shift_x, wide.top << self.shift_y
        return _cut(
            np.asarray(large),
            Span(span.left - left, span.top - top, span.right - left, span.bottom - top),
        )


def _through_swscale(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """RGB of a frame in any format; what shines through lies over black."""
    has_alpha = frame.format.has_palette or any(part.is_alpha for part in frame.format.components)
    matrix = Colour.guess_matrix(frame.colorspace, frame.width, frame.height)
    flat = frame.reformat(
        format="rgba" if has_alpha else "rgb24",
        src_colorspace=matrix,
        interpolation=Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT,
        threads=1,
    ).to_ndarray()
    if not has_alpha:
        return np.ascontiguousarray(flat, np.uint8)
    colours, alpha = flat[..., :3].astype(np.uint16), flat[..., 3:].astype(np.uint16)
    return ((colours * alpha + 127) // 255).astype(np.uint8)


def _plane(plane: Any, depth: int) -> Array:
    """A plane's samples, without the bytes that pad its rows."""
    kind = np.dtype(np.uint8 if depth == 8 else "<u2")
    rows = np.frombuffer(plane, kind).reshape(plane.height, plane.line_size // kind.itemsize)
    return rows[:, : plane.width]


def _chroma_span(span: Span, shift_x: int, shift_y: int) -> Span:
    """The chroma samples that a span of luma samples touches."""
    return Span(
        span.left >> shift_x,
        span.top >> shift_y,
        -(-span.right >> shift_x),
        -(-span.bottom >> shift_y),
    )


def _cut(plane: Array, span: Span) -> Array:
    return plane[span.top : span.bottom, span.left : span.right]


def _mirror(part: Array, span: Span, inside: Span) -> Array:
    """Fill what a span has outside of the picture with the mirrored picture."""
    if span == inside:
        return part
    return np.asarray(
        cv2.copyMakeBorder(
            part,
            inside.top - span.top,
            span.bottom - inside.bottom,
            inside.left - span.left,
            span.right - inside.right,
            cv2.BORDER_REFLECT_101,
        )
    )


def _resize(part: Array, width: int, height: int) -> Array:
    """Scale by area; linear as soon as one side grows, where area would show its blocks."""
    rows, columns = part.shape[:2]
    if (rows, columns) == (height, width):
        return part
    smaller = rows >= height and columns >= width
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, (width, height), interpolation=method))
