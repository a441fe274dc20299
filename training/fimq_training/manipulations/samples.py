"""Samples: faces with room around them and their landmarks, ready to be forged.

A sample is a square of 2.3 times the face's box, so that a head can be turned, moved and
coded without meeting the border. It is cut by the crop function that serving uses. One file
holds a set: arrays only, pictures as PNG in one blob.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from fimq_training.arrays import read_arrays, write_arrays
from fimq_training.datasets.catalogue import Entry
from fimq_training.manipulations.landmarks import MeshReader, Pixels, Points
from fimq_worker.vision.box import Box
from fimq_worker.vision.crops import CropRule, crop_face
from fimq_worker.vision.faces.base import FaceFinder, FoundFace
from fimq_worker.vision.picture import Picture

CONTEXT = 2.3  #: side of a sample over the longer side of the face
LARGEST = 460  #: side of a sample in pixels
SMALLEST_FACE = 48  #: in pixels of the displayed picture, as serving has it
LEAST_MESH_SCORE = 0.7
SERVED = CropRule(scale=1.3, size=128)  #: how serving cuts, unless a recipe says otherwise


@dataclass(frozen=True, slots=True)
class Sample:
    """One face: its surroundings, its landmarks and box in them, and whose it is."""

    pixels: Pixels
    points: Points
    box: Box
    served: Pixels  #: the crop of this face as serving cuts it from the whole picture
    person: str
    source: str  #: folder and file


class SampleSet:
    """Samples in memory, by number."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self.samples: Sequence[Sample] = list(samples)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]

    @property
    def people(self) -> list[str]:
        """Everyone in the set, each once, sorted."""
        return sorted({sample.person for sample in self.samples})

    def by_source(self) -> dict[str, list[Sample]]:
        """The samples of each file, in the order of their frames."""
        result: dict[str, list[Sample]] = {}
        for sample in self.samples:
            result.setdefault(sample.source, []).append(sample)
        return result

    def save(self, path: Path) -> None:
        """Write the set to one file."""
        coded = [cv2.imencode(".png", s.pixels[:, :, ::-1])[1].ravel() for s in self.samples]
        boxes = [[s.box.x, s.box.y, s.box.width, s.box.height] for s in self.samples]
        write_arrays(
            path,
            {
                "blob": np.concatenate(coded),
                "lengths": np.array([len(code) for code in coded]),
                "points": np.stack([s.points for s in self.samples]),
                "boxes": np.array(boxes),
                "served": np.stack([s.served for s in self.samples]),
                "people": np.array([s.person for s in self.samples]),
                "sources": np.array([s.source for s in self.samples]),
            },
        )

    @classmethod
    def load(cls, path: Path) -> "SampleSet":
        """Read a set that `save` wrote."""
        arrays = read_arrays(path)
        ends = np.cumsum(arrays["lengths"])
        return cls(
            Sample(
                pixels=_decoded(arrays["blob"][end - length : end]),
                points=points,
                box=Box(*map(float, box)),
                served=served,
                person=str(person),
                source=str(source),
            )
            for end, length, points, box, served, person, source in zip(
                ends,
                arrays["lengths"],
                arrays["points"],
                arrays["boxes"],
                arrays["served"],
                arrays["people"],
                arrays["sources"],
                strict=True,
            )
        )


class SampleReader:
    """Reads samples from files: the largest face of a picture or of each frame."""

    def __init__(self, finder: FaceFinder, meshes: MeshReader, served: CropRule = SERVED) -> None:
        self._finder, self._meshes, self._served = finder, meshes, served

    def portraits(self, entries: Iterable[Entry]) -> Iterator[Sample]:
        """One sample of each portrait that shows a face."""
        for entry in entries:
            stored = cv2.imread(str(entry.path), cv2.IMREAD_COLOR)
            if stored is None:
                continue
            pixels = np.ascontiguousarray(stored[:, :, ::-1], np.uint8)
            yield from self._samples(entry, Picture.from_rgb(pixels))

    def clips(self, entries: Iterable[Entry], frames: int) -> Iterator[Sample]:
        """Up to `frames` samples of each clip, spread over it."""
        for entry in entries:
            for picture in spread_frames(entry.path, frames):
                yield from self._samples(entry, picture)

    def _samples(self, entry: Entry, picture: Picture) -> Iterator[Sample]:
        faces = [f for f in self._finder.find(picture) if f.box.longer_side >= SMALLEST_FACE]
        if not faces:
            return
        face = max(faces, key=lambda found: found.box.area)
        sample = self._sample(entry, picture, face)
        if sample is not None:
            yield sample

    def _sample(self, entry: Entry, picture: Picture, face: FoundFace) -> Sample | None:
        pixels = picture.rgb(None, picture.width, picture.height)
        mesh = self._meshes.read(pixels, face.box.centre, face.box.longer_side)
        if mesh.score < LEAST_MESH_SCORE:
            return None
        rule = CropRule(scale=CONTEXT)
        square = rule.square(face.box)
        side = min(LARGEST, int(square.width))
        scale = side / square.width
        corner = np.array([square.x, square.y], np.float32)
        return Sample(
            pixels=crop_face(picture, face.box, CropRule(scale=CONTEXT, size=side)),
            points=((mesh.points - corner) * np.float32(scale)).astype(np.float32),
            box=Box(
                (face.box.x - square.x) * scale,
                (face.box.y - square.y) * scale,
                face.box.width * scale,
                face.box.height * scale,
            ),
            served=crop_face(picture, face.box, self._served),
            person=entry.people[0],
            source=f"{entry.folder}/{entry.path.name}",
        )


def spread_frames(path: Path, count: int) -> Iterator[Picture]:
    """Decode up to `count` frames, evenly spread, in the order in which they are shown."""
    with av.open(str(path)) as container:
        total = sum(1 for _ in container.decode(video=0))
    wanted = set(np.unique(np.linspace(total * 0.04, total * 0.96, count).astype(int)).tolist())
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index in wanted:
                yield Picture.from_frame(frame, frame.rotation)


def _decoded(code: NDArray[np.uint8]) -> Pixels:
    stored = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(stored[:, :, ::-1])
