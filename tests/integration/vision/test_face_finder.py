import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from fimq.errors import FinderMissing
from fimq.models.face_models import path
from fimq_worker.vision.box import Box
from fimq_worker.vision.faces.base import FaceFinder
from fimq_worker.vision.faces.full_range import FullRangeFinder
from fimq_worker.vision.faces.mediapipe import MediaPipeFinder
from fimq_worker.vision.picture import Picture

#: The face of the astronaut in its 512x512 picture, by eye.
FACE = Box(168, 62, 117, 117)


@pytest.fixture(scope="module")
def astronaut() -> NDArray[np.uint8]:
    data = pytest.importorskip("skimage.data")
    return np.ascontiguousarray(data.astronaut(), np.uint8)


@pytest.fixture(scope="module", params=["full_range", "mediapipe"])
def finder(request, face_models: Path) -> FaceFinder:
    model = path(face_models, "full_range_sparse")
    return FullRangeFinder(model) if request.param == "full_range" else mediapipe(model)


def mediapipe(model: Path) -> MediaPipeFinder:
    try:
        return MediaPipeFinder(model)
    except FinderMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(error.message)


def placed(astronaut: NDArray[np.uint8], width: int, height: int, face: float) -> Picture:
    """The astronaut on grey with a face of `face` pixels, away from the middle."""
    scale = face / FACE.width
    size = round(512 * scale)
    ground = np.full((height, width, 3), 96, np.uint8)
    small = cv2.resize(astronaut, (size, size), interpolation=cv2.INTER_AREA)
    ground[20 : 20 + size, width - size - 60 : width - 60] = small[: height - 20]
    return Picture.from_rgb(ground)


class TestFaceFinder:
    """What every FaceFinder promises. A new one joins by adding itself to the fixture."""

    def test_a_face_is_found_where_it_is(self, finder, astronaut):
        (found,) = finder.find(Picture.from_rgb(astronaut))
        assert found.box.iou(FACE) > 0.8
        assert 0.5 < found.score <= 1

    def test_keypoints_stand_as_in_a_face(self, finder, astronaut):
        (found,) = finder.find(Picture.from_rgb(astronaut))
        eye, other_eye, nose, mouth, ear, other_ear = found.keypoints
        assert ear[0] < eye[0] < nose[0] < other_eye[0] < other_ear[0]
        assert max(eye[1], other_eye[1]) < nose[1] < mouth[1]

    def test_the_same_picture_gives_the_same_list(self, finder, astronaut):
        picture = Picture.from_rgb(astronaut)
        assert finder.find(picture) == finder.find(picture)

    @pytest.mark.parametrize("face", [48, 80, 200])
    def test_faces_of_all_sizes_are_found(self, finder, astronaut, face):
        (found,) = finder.find(placed(astronaut, 1920, 1080, face))
        assert found.box.longer_side == pytest.approx(face, rel=0.15)

    def test_a_known_small_face_is_found_by_its_hint(self, finder, astronaut):
        picture = placed(astronaut, 1920, 1080, 48)
        (first,) = finder.find(picture)
        (again,) = finder.find(picture, [first.box.scaled(1.2)])
        assert again.box.iou(first.box) > 0.8

    def test_a_face_that_fills_the_picture_is_found(self, finder, astronaut):
        (found,) = finder.find(Picture.from_rgb(astronaut[62:179, 168:285]))
        assert found.box.longer_side == pytest.approx(117, rel=0.15)

    def test_two_faces_are_two_whatever_their_order(self, finder, astronaut):
        small = cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA)
        both = np.zeros((512, 768, 3), np.uint8)
        both[:, :512], both[:256, 512:] = astronaut, small
        left_first = finder.find(Picture.from_rgb(both))
        assert [face.box.x > 512 for face in left_first] == [False, True]

    @pytest.mark.parametrize("size", [(1, 1), (1, 400), (400, 1), (2, 3), (300, 300)])
    def test_pictures_without_a_face_have_none(self, finder, size):
        assert finder.find(Picture.from_rgb(np.full((*size, 3), 120, np.uint8))) == []
