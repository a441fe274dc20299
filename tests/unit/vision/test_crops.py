import hashlib

import numpy as np
import pytest
from numpy.typing import NDArray

from fimq_worker.vision.box import Box
from fimq_worker.vision.crops import CropRule, EmptyBox, crop_face, crop_is_padded
from fimq_worker.vision.picture import Picture


def pattern(width: int, height: int) -> NDArray[np.uint8]:
    """Smooth in every channel and different everywhere, made with integers only."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // width, y * 255 // height, (x + 2 * y) % 256], -1).astype(np.uint8)


def digest(crop: NDArray[np.uint8]) -> str:
    return hashlib.sha256(crop.tobytes()).hexdigest()[:16]


@pytest.fixture
def picture() -> Picture:
    return Picture.from_rgb(pattern(320, 240))


class TestCropFace:
    @pytest.mark.parametrize(
        ("box", "golden"),
        [
            (Box(100, 60, 80, 100), "shrunk"),
            (Box(100.4, 60.6, 31, 29.5), "grown"),
            (Box(-20, 180, 90, 100), "mirrored"),
        ],
    )
    def test_crops_are_those_that_models_were_trained_on(self, picture, box, golden):
        assert digest(crop_face(picture, box, CropRule())) == GOLDEN[golden]

    def test_a_crop_is_as_large_as_the_rule_says(self, picture):
        assert crop_face(picture, Box(10, 10, 40, 40), CropRule(size=64)).shape == (64, 64, 3)

    def test_at_its_own_size_a_crop_is_the_picture(self, picture):
        crop = crop_face(picture, Box(100, 60, 64, 50), CropRule(scale=1.0, size=64))
        assert np.array_equal(crop, pattern(320, 240)[53:117, 100:164])

    def test_pixels_outside_are_mirrored(self, picture):
        crop = crop_face(picture, Box(-10, 20, 40, 40), CropRule(scale=1.0, size=40))
        assert np.array_equal(crop[:, :10], crop[:, 20:10:-1])

    @pytest.mark.parametrize(
        "box",
        [
            Box(10, 10, 0, 10),
            Box(400, 10, 20, 20),
            Box(-30, 0, 30, 30),
            Box(float("nan"), 0, 10, 10),
            Box(0, 0, float("inf"), 10),
        ],
    )
    def test_a_box_without_area_inside_is_refused(self, picture, box):
        with pytest.raises(EmptyBox):
            crop_face(picture, box, CropRule())

    def test_a_crop_over_the_edge_is_known_as_padded(self, picture):
        assert crop_is_padded(picture, Box(0, 0, 50, 50), CropRule())
        assert not crop_is_padded(picture, Box(100, 100, 50, 50), CropRule())


GOLDEN = {"shrunk": "3f685e00c2a44d80", "grown": "6a6c671755e7f44d", "mirrored": "b7e0ba31bd782645"}
