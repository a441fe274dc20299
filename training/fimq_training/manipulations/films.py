"""Films: held-out clips and their forged doubles as video files, for the whole pipeline to judge.

A film is the square round a face through consecutive frames, still while the head moves in it,
as it is and forged with one draw. Both go through every `Variant`: codecs, and what platforms do
besides. `fimq evaluate` then says what is left of a model's figures.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from fimq_training.datasets.catalogue import Entry
from fimq_training.disk import room_for
from fimq_training.manipulations.forgeries import KINDS, Face
from fimq_training.manipulations.landmarks import MeshReader, Pixels, Points
from fimq_training.manipulations.pairs import LEAST_CHANGE, PairMaker, even, forge
from fimq_training.manipulations.samples import (
    CONTEXT,
    LEAST_MESH_SCORE,
    SMALLEST_FACE,
    SampleSet,
)
from fimq_worker.vision.faces.base import FaceFinder
from fimq_worker.vision.picture import Picture

RATE = 25  #: frames a second of what is written
LEAST_FRAMES = 9  #: with a face, for a film
LARGEST = 720  #: side of a film in pixels
ATTEMPTS = 4  #: at a forgery that changes enough
LABELS = "labels.csv"


@dataclass(frozen=True, slots=True)
class Film:
    """Consecutive pictures of one face, real and forged."""

    real: list[Pixels]
    fake: list[Pixels]
    person: str
    source: str  #: file name of the clip, without its suffix
    method: str  #: kind and region


@dataclass(frozen=True, slots=True)
class Variant:
    """One way that a film is handed on."""

    encoder: str
    crf: int
    suffix: str
    alter: Callable[[Pixels], Pixels] | None = None
    options: Mapping[str, str] | None = None


def _halved(picture: Pixels) -> Pixels:
    side = even(picture.shape[0] / 2)
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def _blurred(picture: Pixels) -> Pixels:
    sigma = picture.shape[0] / 256  # of a face 100 pixels wide: one pixel
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)


def _letterboxed(picture: Pixels) -> Pixels:
    bar = even(picture.shape[0] * 7 / 18)  # to 16:9
    return np.asarray(cv2.copyMakeBorder(picture, 0, 0, bar, bar, cv2.BORDER_CONSTANT), np.uint8)


_VP9 = {"b": "0", "deadline": "realtime", "cpu-used": "8"}
VARIANTS: Mapping[str, Variant] = {
    "h264-23": Variant("libx264", 23, ".mp4"),
    "h264-32": Variant("libx264", 32, ".mp4"),
    "h264-40": Variant("libx264", 40, ".mp4"),
    "hevc-30": Variant("libx265", 30, ".mp4", options={"x265-params": "log-level=none"}),
    "vp9-40": Variant("libvpx-vp9", 40, ".webm", options=_VP9),
    "halved": Variant("libx264", 23, ".mp4", _halved),
    "blurred": Variant("libx264", 23, ".mp4", _blurred),
    "letterboxed": Variant("libx264", 23, ".mp4", _letterboxed),
}


class FilmMaker:
    """Makes films of people whose samples are at hand. The seed decides every draw."""

    def __init__(
        self, samples: SampleSet, finder: FaceFinder, meshes: MeshReader, seed: int
    ) -> None:
        self._samples, self._finder, self._meshes = samples, finder, meshes
        self._pairs = PairMaker(samples, seed)
        self._seed = seed

    def films(self, entries: Sequence[Entry], frames: int) -> Iterator[Film]:
        """A film of each clip that shows a face long enough, of so many frames at most."""
        for number, entry in enumerate(entries):
            source = f"{entry.folder}/{entry.path.name}"
            mine = [n for n, sample in enumerate(self._samples.samples) if sample.source == source]
            faces = self._faces(entry.path, frames) if mine else []
            if len(faces) >= LEAST_FRAMES:
                film = self._forged(faces, mine[0], entry, number)
                if film is not None:
                    yield film

    def _forged(self, faces: Sequence[Face], mine: int, entry: Entry, number: int) -> Film | None:
        rng, kind = np.random.default_rng([self._seed, number]), KINDS[number % len(KINDS)]
        for _ in range(ATTEMPTS):
            partner = self._pairs.partner(mine, kind)
            if partner is None:
                continue
            draw = int(rng.integers(1 << 30))
            forged = [forge(f, kind, partner, np.random.default_rng(draw)) for f in faces]
            if np.mean([forgery.change for forgery in forged]) >= LEAST_CHANGE:
                return Film(
                    real=[forgery.real for forgery in forged],
                    fake=[forgery.fake for forgery in forged],
                    person=entry.people[0],
                    source=entry.path.stem,
                    method=forged[0].name,
                )
        return None

    def _faces(self, path: Path, frames: int) -> list[Face]:
        """The longest run of frames with a face, cut by one square."""
        pictures: list[Pixels] = []
        found: list[tuple[Points, tuple[float, float], float]] = []
        with av.open(str(path)) as container:
            for frame in islice(container.decode(video=0), frames):
                picture = Picture.from_frame(frame, frame.rotation)
                boxes = [face.box for face in self._finder.find(picture)]
                box = max(boxes, key=lambda box: box.area, default=None)
                if box is None or box.longer_side < SMALLEST_FACE:
                    if len(pictures) >= LEAST_FRAMES:
                        break
                    pictures, found = [], []
                    continue
                pixels = picture.rgb(None, picture.width, picture.height)
                mesh = self._meshes.read(pixels, box.centre, box.longer_side)
                if mesh.score < LEAST_MESH_SCORE:
                    continue
                pictures.append(pixels)
                found.append((mesh.points, box.centre, box.longer_side))
        return _squared(pictures, found) if pictures else []


def write_films(films: Iterator[Film], out: Path) -> Iterator[tuple[Film, int]]:
    """Write every film in every variant, and `labels.csv` at the end; yields how many files.

    Raises:
        DiskFull: there was no room.
    """
    lines: list[tuple[str, ...]] = []
    out.mkdir(parents=True, exist_ok=True)
    for film in films:
        for name, variant in VARIANTS.items():
            for label, pictures in (("real", film.real), ("manipulated", film.fake)):
                file = f"{film.source}_{name}_{label}{variant.suffix}"
                with room_for(out / file):
                    write_film(out / file, pictures, variant)
                method = film.method if label == "manipulated" else ""
                lines.append((file, label, method, film.person, name))
        yield film, len(lines)
    with room_for(out / LABELS), (out / LABELS).open("w", newline="", encoding="utf-8") as rows:
        writer = csv.writer(rows, lineterminator="\n")
        writer.writerow(("file", "label", "method", "identity", "compression"))
        writer.writerows(lines)


def write_film(path: Path, pictures: Sequence[Pixels], variant: Variant) -> None:
    """Write one video file."""
    altered = [variant.alter(picture) if variant.alter else picture for picture in pictures]
    height, width = altered[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(variant.encoder, rate=Fraction(RATE))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": str(variant.crf), **(variant.options or {})}
        for picture in altered:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _squared(
    pictures: Sequence[Pixels], found: Sequence[tuple[Points, tuple[float, float], float]]
) -> list[Face]:
    """Cut the square that suits the median face from every picture."""
    width = float(np.median([side for *_, side in found]))
    middle = np.median([centre for _, centre, _ in found], axis=0)
    height, across = pictures[0].shape[:2]
    side = even(min(width * CONTEXT, height, across))
    corner = np.clip(middle - side / 2, 0, [across - side, height - side]).round().astype(int)
    scale = min(1.0, LARGEST / side)
    shown = even(side * scale)
    cut = partial(_cut, x=int(corner[0]), y=int(corner[1]), side=side, shown=shown)
    return [
        Face(cut(picture), ((points - corner) * (shown / side)).astype(np.float32), width * scale)
        for picture, (points, *_) in zip(pictures, found, strict=True)
    ]


def _cut(picture: Pixels, *, x: int, y: int, side: int, shown: int) -> Pixels:
    square = np.ascontiguousarray(picture[y : y + side, x : x + side])
    if shown == side:
        return square
    return np.asarray(cv2.resize(square, (shown, shown), interpolation=cv2.INTER_AREA), np.uint8)
