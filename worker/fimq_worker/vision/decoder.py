"""The decoder: one packet in, pictures out, and what FFmpeg had to say about it.

An error of one packet is an answer, not an exception: a damaged film is decoded past its
damage. FFmpeg also repairs damage silently; only its log tells, so the log is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn

import av
import av.logging
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from fimq.errors import DecoderMemory, TooManyPixels

_TOO_LARGE = re.compile(r"Picture size (\d+)x(\d+) exceeds|Frame size (\d+)x(\d+) exceeds limit")
#: Error lines of FFmpeg's decoders that do not mean wrong pixels; every other one does.
_HARMLESS = re.compile(r"overread|EOI missing|unref short failure")
#: Lines kept of one packet; a damaged 4K picture can write thousands.
_MAX_LINES = 16


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one packet brought."""

    frames: list[av.VideoFrame]
    error: str | None  #: why the packet failed
    repaired: bool  #: the decoder found damage and covered it


class Decoder:
    """A codec context of one thread: other numbers give other pixels on damaged films."""

    def __init__(self, context: VideoCodecContext, *, max_pixels: int) -> None:
        self._context = context
        self._max_pixels = max_pixels

    def feed(self, packet: av.Packet[VideoStream] | None) -> Decoded:
        """Decode one packet; None takes the pictures that are still inside.

        Raises:
            TooManyPixels: the packet holds a picture larger than the limit.
            DecoderMemory: there is no memory for it.
        """
        frames: list[av.VideoFrame] = []
        error = None
        with logged() as log:
            try:
                frames = self._context.decode(packet)
            except MemoryError as failure:
                raise DecoderMemory from failure
            # av raises more than its own errors: bare OSError, ValueError, UnicodeDecodeError.
            except Exception as failure:  # noqa: BLE001 - an answer about this packet
                error = str(failure) or type(failure).__name__
        lines = [line for _, _, line in log]
        self._check_size(lines)
        for frame in frames:
            if frame.width * frame.height > self._max_pixels:
                self._refuse(frame.width, frame.height)
        return Decoded(frames, error, any(not _HARMLESS.search(line) for line in lines))

    def restart(self) -> None:
        """Forget every picture, as at a seek."""
        self._context.flush_buffers()

    def _check_size(self, lines: Iterable[str]) -> None:
        for line in lines:
            if found := _TOO_LARGE.search(line):
                self._refuse(*(int(side) for side in found.groups() if side))

    def _refuse(self, width: int, height: int) -> NoReturn:
        raise TooManyPixels(width=width, height=height, limit=self._max_pixels)


class logged:  # noqa: N801 - reads as what it does: `with logged() as log`
    """Collect FFmpeg's error lines of this thread as (level, who, line)."""

    def __enter__(self) -> list[tuple[int, str, str]]:
        if av.logging.get_level() != av.logging.ERROR:
            av.logging.set_level(av.logging.ERROR)
            av.logging.set_skip_repeated(False)
        self._capture = av.logging.Capture()
        return self._capture.__enter__()

    def __exit__(self, *what: object) -> None:
        self._capture.__exit__(None, None, None)
        del self._capture.logs[_MAX_LINES:]
