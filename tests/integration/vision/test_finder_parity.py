"""The two finders side by side: the model run by OpenVINO, and the mediapipe package itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from fimq.errors import FinderMissing
from fimq.models.face_models import path
from fimq_worker.vision.faces.base import FoundFace
from fimq_worker.vision.faces.full_range import FullRangeFinder
from fimq_worker.vision.faces.grid import GridDetector
from fimq_worker.vision.faces.mediapipe import MediaPipeDetector, MediaPipeFinder
from fimq_worker.vision.picture import Picture

LEAST = 0.58


@pytest.fixture(scope="module")
def model(face_models: Path) -> Path:
    return path(face_models, "full_range_sparse")


@pytest.fixture(scope="module")
def theirs(model: Path) -> MediaPipeDetector:
    try:
        return MediaPipeDetector(model)
    except FinderMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(error.message)


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> list[NDArray[np.uint8]]:
    """Real frames: the film of the demo, whose face moves through it, and its swapped twin."""
    from fimq_api.demo.clips import make_clips

    pytest.importorskip("skimage.data")
    folder = tmp_path_factory.mktemp("demo")
    make_clips(folder)
    return [
        frame
        for name in ("portrait.mp4", "portrait-swapped.mp4")
        for frame in film(folder / name)[::25]
    ]


def film(file: Path) -> list[NDArray[np.uint8]]:
    with av.open(str(file)) as container:
        return [
            np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            for frame in container.decode(video=0)
        ]


def squares(frames: list[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    """Squares of 192 pixels in which the face is large, small, in a corner, cut or missing."""
    for frame in frames:
        height, width = frame.shape[:2]
        for side in (height, 3 * height // 4, height // 2):
            for left, top in (
                (0, 0),
                (width - side, 0),
                ((width - side) // 2, (height - side) // 2),
            ):
                part = frame[top : top + side, left : left + side]
                yield np.asarray(
                    cv2.resize(part, (192, 192), interpolation=cv2.INTER_AREA), np.uint8
                )


def best(found: list[FoundFace]) -> FoundFace | None:
    return max(found, key=lambda face: face.score, default=None)


def test_the_detectors_agree_on_the_same_pixels(
    model: Path, theirs: MediaPipeDetector, frames: list[NDArray[np.uint8]]
) -> None:
    ours, alone, blended = GridDetector(model), 0, 0
    for square in squares(frames):
        found = ours.find(square, 0.5)
        mine = best([face for face in found if face.score >= LEAST])
        other = best(theirs.find(square, LEAST))
        assert (mine is None) == (other is None)
        if mine is None or other is None:
            continue
        assert mine.score == pytest.approx(other.score, abs=1e-3)
        if not lies_inside(mine):
            # mediapipe moves a box that leaves the square to its edge.
            continue
        # Where one cell saw the face, both say the same, mediapipe in whole pixels; where
        # several did, it blends their boxes, while the search takes the surest.
        one = len(found) == 1
        alone, blended = alone + one, blended + (not one)
        assert np.allclose(corners(mine), corners(other), atol=(0.6 if one else 4) / 192)
        assert np.allclose(mine.keypoints, other.keypoints, atol=1e-3 if one else 0.02)
    assert alone > 2
    assert blended > 20


def lies_inside(face: FoundFace) -> bool:
    left, top, width, height = corners(face)
    return min(left, top) >= 0 and max(left + width, top + height) <= 1


def corners(face: FoundFace) -> tuple[float, float, float, float]:
    return face.box.x, face.box.y, face.box.width, face.box.height


def test_the_finders_agree_on_real_frames(
    model: Path, theirs: MediaPipeDetector, frames: list[NDArray[np.uint8]]
) -> None:
    ours, package = FullRangeFinder(model), MediaPipeFinder(model)
    for frame in frames:
        picture = Picture.from_rgb(frame)
        (mine,), (other,) = ours.find(picture), package.find(picture)
        assert mine.box.iou(other.box) > 0.85
        assert abs(mine.box.longer_side / other.box.longer_side - 1) < 0.08


@pytest.mark.realdata
def test_the_finders_agree_on_portraits(model: Path, theirs: MediaPipeDetector) -> None:
    folder = os.environ.get("FIMQ_TEST_DATA")
    if not folder:
        pytest.skip("needs FIMQ_TEST_DATA")
    ours, package = FullRangeFinder(model), MediaPipeFinder(model)
    overlaps, differ = [], 0
    for place in ("canada", "london_smiling", "uk_parliament", "us_congress"):
        for file in sorted((Path(folder) / "portraits" / place).iterdir())[:25]:
            rgb = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
            picture = Picture.from_rgb(np.asarray(rgb, np.uint8))
            mine, other = ours.find(picture), package.find(picture)
            differ += len(mine) != len(other)
            overlaps += [a.box.iou(b.box) for a, b in zip(mine, other, strict=False)]
    print(
        f"\n{len(overlaps)} faces, median IoU {np.median(overlaps):.3f}, least {min(overlaps):.3f}"
    )
    # One of the hundred has a second, doubtful face that only one of them sees.
    assert differ <= 1
    assert np.median(overlaps) > 0.93
    assert min(overlaps) > 0.8


def test_another_release_is_refused(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    monkeypatch.setattr("fimq_worker.vision.faces.mediapipe.version", lambda _: "1.2.2")
    with pytest.raises(FinderMissing, match=r"1\.2\.2|cannot be loaded"):
        MediaPipeDetector(model)
