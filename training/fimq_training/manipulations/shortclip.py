"""Short clips: one picture made into a few frames, coded as video, and its last frame taken.

A still picture coded as JPEG does not look like a frame of a video. So the picture is made
the end of a short clip in which the head moves before a still background (as a speaker does
before a fixed camera, where the codec spends its bits on the head alone) or the whole picture
drifts, and what the codec makes of the last frame comes back.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
import cv2
import numpy as np
from av.video.codeccontext import VideoCodecContext
from numpy.random import Generator

from fimq_training.manipulations.alterations import coordinates
from fimq_training.manipulations.landmarks import Pixels

PRESETS = ("veryfast", "faster", "superfast")  #: of H.264


@dataclass(frozen=True, slots=True)
class Codec:
    """One way to code video. Chosen such that the same frames give the same bytes anywhere."""

    encoder: str
    decoder: str
    share: float  #: of the clips that are drawn
    options: Mapping[str, str]
    #: Its rate factor for one of H.264's that loses about as much: slope and offset.
    rate: tuple[float, float] = (1.0, 0.0)


CODECS: Mapping[str, Codec] = {
    "h264": Codec(
        "libx264",
        "h264",
        0.7,
        # Its macroblock tree reads memory that nobody wrote: the same frames give other bytes
        # in another process (tests/unit/training/test_degradations.py shows it).
        {"bf": "0", "x264-params": "log-level=none:no-mbtree=1"},
    ),
    "hevc": Codec(
        "libx265",
        "hevc",
        0.15,
        {
            "preset": "ultrafast",
            "x265-params": "log-level=none:bframes=0:pools=none:frame-threads=1:wpp=0:"
            "no-cutree=1:rc-lookahead=0",
        },
        (1.0, 2.0),
    ),
    "vp9": Codec(
        "libvpx-vp9",
        "vp9",
        0.15,
        {"b": "0", "deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "row-mt": "0"},
        (1.25, 2.0),
    ),
}


@dataclass(frozen=True, slots=True)
class ShortClip:
    """How a picture becomes a clip. Shifts are in pixels a frame."""

    crf: int  #: of H.264; others take the one that loses about as much
    frames: int
    preset: str  #: of H.264
    drift: tuple[float, float]  #: of the whole picture, or of the head where it moves alone
    head: float | None = None  #: width of the face, where the head moves alone
    mouth: float = 0.0  #: how far the mouth moves beside the head
    codec: str = "h264"  #: one of CODECS

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
            codec=str(rng.choice(list(CODECS), p=[codec.share for codec in CODECS.values()])),
        )

    def last_frame_of(self, picture: Pixels) -> Pixels:
        """Code the clip that ends in `picture`, whose sides must be even, and decode its end."""
        height, width = picture.shape[:2]
        codec = CODECS[self.codec]
        encoder = cast("VideoCodecContext", av.CodecContext.create(codec.encoder, "w"))
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
        encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
        encoder.thread_count = 1  # several would make the result depend on the machine
        slope, offset = codec.rate
        options = {"crf": str(round(slope * self.crf + offset)), **codec.options}
        encoder.options = {"preset": self.preset, **options} if self.codec == "h264" else options
        decoder = cast("VideoCodecContext", av.CodecContext.create(codec.decoder, "r"))
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
