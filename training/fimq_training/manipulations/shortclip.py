"""Short clips: one picture made into a few frames, coded as H.264, and its last frame taken.

A still picture coded as JPEG does not look like a frame of a video. So the picture is made
the end of a short clip in which the head moves before a still background (as a speaker does
before a fixed camera, where the codec spends its bits on the head alone) or the whole picture
drifts, and what the codec makes of the last frame comes back.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import cv2
import numpy as np
from numpy.random import Generator

from fimq_training.manipulations.alterations import coordinates
from fimq_training.manipulations.landmarks import Pixels

PRESETS = ("veryfast", "faster", "superfast")


@dataclass(frozen=True, slots=True)
class ShortClip:
    """How a picture becomes a clip. Shifts are in pixels a frame."""

    crf: int
    frames: int
    preset: str
    drift: tuple[float, float]  #: of the whole picture, or of the head where it moves alone
    head: float | None = None  #: width of the face, where the head moves alone
    mouth: float = 0.0  #: how far the mouth moves beside the head

    @classmethod
    def draw(
        cls, width: float, rng: Generator, *, crf: tuple[int, int], frames: int
    ) -> "ShortClip":
        """Draw a clip for a face `width` pixels wide; `crf` is from (low, beyond high)."""
        moves_alone = rng.random() < 0.7
        reach = (0.016 if moves_alone else 0.012) * width
        return cls(
            crf=int(rng.integers(*crf)),
            frames=int(rng.integers(1, frames + 1)),
            preset=PRESETS[int(rng.integers(len(PRESETS)))],
            drift=(float(rng.normal(0, reach)), float(rng.normal(0, reach))),
            head=width if moves_alone else None,
            mouth=float(rng.normal(0, 0.02 * width)),
        )

    def last_frame_of(self, picture: Pixels) -> Pixels:
        """Code the clip that ends in `picture`, whose sides must be even, and decode its end."""
        height, width = picture.shape[:2]
        encoder = av.CodecContext.create("libx264", "w")
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
        encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
        encoder.thread_count = 1  # several would make the result depend on the machine
        encoder.options = {
            "crf": str(self.crf),
            "preset": self.preset,
            "bf": "0",
            # Its macroblock tree reads memory that nobody wrote: the same frames give other
            # bytes in another process (tests/unit/training/test_degradations.py shows it).
            "x264-params": "log-level=none:no-mbtree=1",
        }
        decoder = av.CodecContext.create("h264", "r")
        decoder.thread_count = 1
        packets = [
            packet
            for frame in self._frames(picture)
            for packet in encoder.encode(av.VideoFrame.from_ndarray(frame, format="rgb24"))
        ]
        decoded = [
            frame
            for packet in (*packets, *encoder.encode(None), None)
            for frame in decoder.decode(packet)
        ]
        last = decoded[-1]
        return np.asarray(last.to_ndarray(format="rgb24"), np.uint8)

    def _frames(self, picture: Pixels) -> Iterator[Pixels]:
        x, y = coordinates(picture)
        if self.head is None:
            moved = np.ones_like(x)
            spoken = np.zeros_like(x)
        else:
            height, width = picture.shape[:2]
            x0, y0, face = x - width / 2, y - height / 2, self.head
            moved = _bump(x0, y0, 0.42 * face, 0.55 * face)
            spoken = _bump(x0, y0 - 0.25 * face, 0.16 * face, 0.12 * face)
        for back in range(self.frames - 1, 0, -1):
            mouth = np.float32(self.mouth * np.sin(back * 1.3))
            from_x = x + np.float32(self.drift[0] * back) * moved
            from_y = y + np.float32(self.drift[1] * back) * moved + mouth * spoken
            frame = cv2.remap(
                picture, from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
            )
            yield np.ascontiguousarray(frame, np.uint8)
        yield np.ascontiguousarray(picture)


def _bump(
    x: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    y: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    reach_x: float,
    reach_y: float,
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    bump = np.exp(-(x**2) / (2 * reach_x**2) - y**2 / (2 * reach_y**2))
    return bump.astype(np.float32)
