"""CPU time of the sparse sampler against decoding every packet and `cv2.VideoCapture`.

Everything counts: open, index, decode, and conversion of each 25th picture to RGB. All
ways run in turn on the same clips in one process; the best of some rounds is taken, and
shown in proportion to decoding all with PyAV. Above 1 is slower.

    python benchmarks/bench_sampler.py [--seconds 10] [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from fimq_worker.vision.container import open_video
from fimq_worker.vision.sampler.base import Sampler, Sampling
from fimq_worker.vision.sampler.decode_all import DecodeAll
from fimq_worker.vision.sampler.sparse import Sparse

os.environ.setdefault("SVT_LOG", "1")
WIDTH, HEIGHT, FPS = 1280, 720, 25
SAMPLING = Sampling("every", 25)


@dataclass(frozen=True)
class Kind:
    """One kind of clip."""

    name: str
    codec: str
    suffix: str
    gop: int
    options: dict[str, str] = field(default_factory=dict)
    b_frames: int | None = None
    pix_fmt: str = "yuv420p"


X264 = {"preset": "veryfast"}
KINDS = [
    Kind("H.264, GOP 250", "libx264", "mp4", 250, X264),
    Kind("H.264, GOP 48", "libx264", "mp4", 48, X264),
    Kind("H.264, GOP 12", "libx264", "mp4", 12, X264),
    Kind("H.264, no B, GOP 30", "libx264", "mp4", 30, X264, b_frames=0),
    Kind(
        "HEVC, GOP 48",
        "libx265",
        "mp4",
        48,
        {"preset": "superfast", "x265-params": "log-level=none"},
    ),
    Kind("VP9, GOP 48", "libvpx-vp9", "webm", 48, {"deadline": "realtime", "cpu-used": "8"}),
    Kind("AV1, GOP 48", "libsvtav1", "mp4", 48, {"preset": "11"}),
    Kind("MPEG-4, GOP 12", "mpeg4", "mp4", 12, b_frames=2),
    Kind("MPEG-2, GOP 12", "mpeg2video", "ts", 12, b_frames=2),
    Kind("MJPEG", "mjpeg", "mov", 1, pix_fmt="yuvj420p"),
]


def scene(count: int) -> Iterator[NDArray[np.uint8]]:
    """A camera that pans over a textured ground, with things that move before it."""
    random = np.random.default_rng(1)
    ground = random.integers(0, 256, (HEIGHT + 256, WIDTH + 512, 3), np.uint8)
    ground = cv2.GaussianBlur(ground, (0, 0), 3)
    ground = cv2.normalize(ground, None, 0, 255, cv2.NORM_MINMAX)
    for index in range(count):
        x, y = int(128 + 120 * np.sin(index / 40)), int(100 + 90 * np.cos(index / 55))
        picture = ground[y : y + HEIGHT, x : x + WIDTH].copy()
        for thing in range(4):
            centre = (int(640 + 500 * np.sin(index / 30 + thing)), 140 + thing * 150)
            cv2.circle(picture, centre, 60, (thing * 60, 200, 255 - thing * 60), -1)
        yield picture


def write_clip(kind: Kind, path: Path, count: int) -> None:
    with av.open(path, "w") as container:
        stream = container.add_stream(kind.codec, rate=FPS, options=kind.options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, kind.pix_fmt
        stream.codec_context.gop_size = kind.gop
        stream.codec_context.bit_rate = 4_000_000
        if kind.b_frames is not None:
            stream.codec_context.max_b_frames = kind.b_frames
        for picture in scene(count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    # SVT-AV1 leaves this a real-time thread where it may, which no decoder is.
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def with_sampler(path: Path, sampler: Sampler) -> int:
    with open_video(path) as container:
        pictures = sampler.sample(container, SAMPLING)
        return sum(1 for sampled in pictures if sampled.frame.to_ndarray(format="rgb24").size)


def with_opencv(path: Path) -> int:
    capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.read()[0]:
        count += 1
    return -(-count // SAMPLING.stride)


def best(run: Callable[[], int], rounds: int) -> tuple[float, int]:
    taken, count = [], 0
    for _ in range(rounds):
        started = time.process_time()
        count = run()
        taken.append(time.process_time() - started)
    return min(taken), count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(
        f"{arguments.seconds} s of {WIDTH}x{HEIGHT}, every {SAMPLING.stride}th picture, CPU time\n"
    )
    print("| clip | decode all, ms a picture | cv2 read() | sparse | pictures decoded |")
    print("| --- | --- | --- | --- | --- |")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"clip.{kind.suffix}"
            count = arguments.seconds * FPS
            write_clip(kind, path, count)
            whole, samples = best(
                lambda path=path: with_sampler(path, DecodeAll()), arguments.rounds
            )
            opencv, read = best(lambda path=path: with_opencv(path), arguments.rounds)
            sampler = Sparse()
            few, found = best(
                lambda path=path, sampler=sampler: with_sampler(path, sampler), arguments.rounds
            )
            assert found == samples
        compared = f"{opencv / whole:.2f}" if read else "-"
        print(
            f"| {kind.name} | {1000 * whole / count:.2f} | {compared} | {few / whole:.2f} "
            f"| {sampler.counters.decoded} of {count} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
