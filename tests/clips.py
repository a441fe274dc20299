"""Clips that the tests make for themselves: small, odd in one way each, never committed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Clip:
    """How a clip is made."""

    codec: str = "libx264"
    frames: int = 50
    width: int = 64
    height: int = 48
    fps: int = 25
    pix_fmt: str = "yuv420p"
    options: dict[str, str] = field(default_factory=dict)
    pts: Sequence[int] | None = None  #: in ticks of 1 / (fps * 100); None: constant rate
    rotation: int | None = None
    format: str | None = None
    muxer: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    sound: bool = False
    gop: int | None = None
    b_frames: int | None = None
    #: Makes `frames` pictures of width x height.
    content: Callable[[int, int, int], Iterable[NDArray[np.uint8]]] | None = None

    def write(self, path: Path) -> Path:
        """Encode the clip to `path`; its suffix names the container."""
        try:
            return self._write(path)
        finally:
            # SVT-AV1 makes who opens it a real-time thread, where it may: a busy process that
            # this one starts later would keep its core for itself.
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))

    def _write(self, path: Path) -> Path:
        with av.open(path, "w", format=self.format, options=self.muxer) as container:
            container.metadata.update(self.metadata)
            film = container.add_stream(self.codec, rate=self.fps, options=self.options)
            film.width, film.height, film.pix_fmt = self.width, self.height, self.pix_fmt
            ticks = 1 if self.pts is None else 100
            film.codec_context.time_base = Fraction(1, self.fps * ticks)
            film.codec_context.thread_count = 1
            if self.gop is not None:
                film.codec_context.gop_size = self.gop
            if self.b_frames is not None:
                film.codec_context.max_b_frames = self.b_frames
            if self.rotation is not None:
                film.set_display_rotation(self.rotation)
            sound = container.add_stream("aac", rate=8000, layout="mono") if self.sound else None
            for index, picture in enumerate(
                (self.content or pictures)(self.frames, self.width, self.height)
            ):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame = frame.reformat(format=self.pix_fmt)
                frame.pts = self.pts[index] if self.pts is not None else index
                frame.time_base = film.codec_context.time_base
                container.mux(film.encode(frame))
            container.mux(film.encode(None))
            if sound is not None:
                _write_sound(container, sound, seconds=self.frames / self.fps)
        return path


def pictures(count: int, width: int, height: int) -> Iterator[NDArray[np.uint8]]:
    """Pictures that each differ from all others, with movement and some noise."""
    random = np.random.default_rng(count * 7919 + width)
    rows, columns = np.mgrid[0:height, 0:width]
    for index in range(count):
        picture = np.empty((height, width, 3), np.uint8)
        picture[..., 0] = (columns * 4 + index * 3) % 256
        picture[..., 1] = (rows * 4 - index * 2) % 256
        picture[..., 2] = ((rows + columns) * 2 + index * 5) % 256
        x, y = (index * 3) % max(1, width - 8), (index * 2) % max(1, height - 8)
        picture[y : y + 8, x : x + 8] = random.integers(0, 256, (8, 8, 3), np.uint8)[
            : height - y, : width - x
        ]
        yield picture


def _write_sound(
    container: av.container.OutputContainer, stream: av.AudioStream, seconds: float
) -> None:
    samples = np.zeros((1, 1024), np.float32)
    for index in range(max(1, int(seconds * 8000 / 1024))):
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 8000, index * 1024
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def write_sound_only(path: Path, *, cover: bool = False) -> Path:
    """A file of sound, with a picture attached as its cover on request."""
    with av.open(path, "w") as container:
        sound = container.add_stream("aac", rate=8000, layout="mono")
        if cover:
            attached = container.add_stream("mjpeg", rate=25)
            attached.width, attached.height, attached.pix_fmt = 64, 48, "yuvj420p"
            attached.disposition = av.stream.Disposition.attached_pic
            for picture in pictures(1, 64, 48):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                container.mux(attached.encode(frame.reformat(format="yuvj420p")))
            container.mux(attached.encode(None))
        _write_sound(container, sound, 1)
    return path
