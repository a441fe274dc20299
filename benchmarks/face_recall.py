"""How small a face the finder finds, and how well its boxes agree. Writes Markdown to stdout.

    FIMQ_TEST_DATA=... FIMQ_FACE_MODELS=... python benchmarks/face_recall.py

Frontal portraits of known box are pasted, six a picture, on pictures without faces. A hit
is a box with an intersection over union of .5 or more with the true one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from fimq.models.face_models import path
from fimq_worker.vision.box import Box
from fimq_worker.vision.faces.full_range import FullRangeFinder
from fimq_worker.vision.picture import Picture

SIZES = (24, 32, 40, 48, 64, 80, 100, 120, 160, 240)
PER_PICTURE = 6
PICTURES = 8


@dataclass
class Tally:
    """What one size of face gave."""

    faces: int = 0
    hits: int = 0
    hits_with_hints: int = 0
    false: int = 0
    ratios: list[float] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    milliseconds_with_hints: list[float] = field(default_factory=list)

    def row(self, size: int) -> str:
        """One line of the table."""
        ratios = self.ratios or [np.nan]
        return (
            f"| {size} | {self.hits / self.faces:.2f} | {self.hits_with_hints / self.faces:.2f} "
            f"| {np.mean(ratios):.2f} | {np.std(ratios):.3f} | {self.false} "
            f"| {np.mean(self.milliseconds):.0f} | {np.mean(self.milliseconds_with_hints):.0f} |"
        )


def portraits(data: Path, finder: FullRangeFinder) -> list[tuple[NDArray[np.uint8], Box]]:
    """Portraits with the box that is found at their own size."""
    found = []
    for file in sorted((data / "portraits" / "london_neutral").glob("*.jpg"))[:48]:
        rgb = np.ascontiguousarray(cv2.imread(str(file))[..., ::-1])
        faces = finder.find(Picture.from_rgb(rgb))
        if faces:
            found.append((rgb, faces[0].box))
    return found


def grounds(data: Path, width: int, height: int) -> Iterator[NDArray[np.uint8]]:
    """Pictures without a face, one a clip."""
    while True:
        for file in sorted((data / "videos" / "faceless").glob("*.mp4")):
            with av.open(str(file)) as container:
                frame = next(container.decode(video=0))
                yield cv2.resize(frame.to_ndarray(format="rgb24"), (width, height))


def paste(
    ground: NDArray[np.uint8], people: list[tuple[NDArray[np.uint8], Box]], size: int, seed: int
) -> tuple[NDArray[np.uint8], list[Box]]:
    """Put people on a grid of places, each moved at random; return the true boxes too."""
    random = np.random.default_rng(seed)
    height, width = ground.shape[:2]
    picture, boxes = ground.copy(), []
    for place, (portrait, box) in enumerate(people):
        scale = size / box.longer_side
        around = box.scaled(1.9)
        left, top = round(max(around.x, 0)), round(max(around.y, 0))
        cut = portrait[top : round(around.y + around.height), left : round(around.x + around.width)]
        small = cv2.resize(cut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        rows, columns = small.shape[:2]
        cell_width, cell_height = width // 3, height // 2
        x = (place % 3) * cell_width + int(random.integers(0, max(cell_width - columns, 1)))
        y = (place // 3) * cell_height + int(random.integers(0, max(cell_height - rows, 1)))
        spot = picture[y : y + rows, x : x + columns]
        spot[:] = small[: spot.shape[0], : spot.shape[1]]
        boxes.append(Box(x + (box.x - left) * scale, y + (box.y - top) * scale, size, size))
    return picture, boxes


def measure(finder: FullRangeFinder, data: Path, width: int, height: int) -> None:
    """Print the table of one size of picture."""
    people = portraits(data, finder)
    print(f"\n{width}x{height}, {PICTURES * PER_PICTURE} faces a size\n")
    print("| face px | found | with hints | size to truth | spread | false | ms | ms with hints |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for size in SIZES:
        tally = Tally()
        for number, ground in zip(range(PICTURES), grounds(data, width, height), strict=False):
            chosen = people[number * PER_PICTURE : (number + 1) * PER_PICTURE]
            rgb, boxes = paste(ground, chosen, size, seed=number)
            frame = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format="yuv420p")
            count(tally, finder, Picture.from_frame(frame), boxes)
        print(tally.row(size), flush=True)


def count(tally: Tally, finder: FullRangeFinder, picture: Picture, boxes: list[Box]) -> None:
    """Search one picture everywhere, then with hints that are a fifth of a face off."""
    start = time.process_time()
    faces = finder.find(picture)
    tally.milliseconds.append(1000 * (time.process_time() - start))
    hints = [Box(b.x + 0.2 * b.width, b.y, b.width * 1.1, b.height * 1.1) for b in boxes]
    start = time.process_time()
    again = finder.find(picture, hints)
    tally.milliseconds_with_hints.append(1000 * (time.process_time() - start))
    for box in boxes:
        best = max(faces, key=lambda face: face.box.iou(box), default=None)
        tally.faces += 1
        if best is not None and best.box.iou(box) >= 0.5:
            tally.hits += 1
            tally.ratios.append(best.box.longer_side / box.longer_side)
        tally.hits_with_hints += any(face.box.iou(box) >= 0.5 for face in again)
    tally.false += sum(all(face.box.iou(box) < 0.2 for box in boxes) for face in faces)


if __name__ == "__main__":
    models = Path(os.environ["FIMQ_FACE_MODELS"])
    for shape in ((1280, 720), (1920, 1080), (3840, 2160)):
        measure(
            FullRangeFinder(path(models, "full_range_sparse")),
            Path(os.environ["FIMQ_TEST_DATA"]),
            *shape,
        )
