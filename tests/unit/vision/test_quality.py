from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fimq_worker.vision.box import Box
from fimq_worker.vision.faces.base import FoundFace, keypoints_of
from fimq_worker.vision.quality import LEAST_USABLE, face_quality

#: Eyes, nose, mouth, ears of a face that looks into the camera, in a box of 100.
FRONTAL = [(30, 38), (70, 38), (50, 58), (50, 75), (10, 45), (90, 45)]


def face(points=FRONTAL, side: float = 100, x: float = 200) -> FoundFace:
    scale = side / 100
    box = Box(x, 100, side, side)
    return FoundFace(box, 0.9, keypoints_of((x + scale * a, 100 + scale * b) for a, b in points))


@pytest.fixture
def crop() -> NDArray[np.uint8]:
    """Skin with eyes and mouth, noisy as photographs are."""
    grey = np.full((128, 128), 150, np.uint8)
    for centre, size in (((45, 50), 9), ((83, 50), 9), ((64, 88), 14)):
        cv2.circle(grey, centre, size, 40, -1)
    noise = np.random.default_rng(1).normal(0, 6, (128, 128, 3))
    return np.clip(grey[..., None] + noise, 0, 255).astype(np.uint8)


class TestFaceQuality:
    def test_a_good_face_is_as_good_as_can_be(self, crop):
        assert face_quality(face(), crop, 640, 480) == 1

    def test_a_face_of_half_the_size_counts_less(self, crop):
        assert face_quality(face(side=48), crop, 640, 480) == pytest.approx(0.4)

    def test_half_a_face_over_the_edge_is_unusable(self, crop):
        assert face_quality(face(x=-50), crop, 640, 480) < LEAST_USABLE

    def test_blur_lowers_it(self, crop):
        some = face_quality(face(), cv2.GaussianBlur(crop, (0, 0), 1), 640, 480)
        more = face_quality(face(), cv2.GaussianBlur(crop, (0, 0), 3), 640, 480)
        assert more < some < 1

    @pytest.mark.parametrize("light", [0.02, 20.0])
    def test_dark_and_burnt_faces_are_unusable(self, crop, light):
        changed = np.clip(crop * light, 0, 255).astype(np.uint8)
        assert face_quality(face(), changed, 640, 480) < LEAST_USABLE

    def test_an_upside_down_face_is_unusable(self, crop):
        turned = [(100 - x, 100 - y) for x, y in FRONTAL]
        assert face_quality(face(turned), crop, 640, 480) == 0

    def test_a_profile_is_unusable(self, crop):
        profile = [(30, 38), (48, 38), (28, 58), (32, 75), (10, 45), (90, 45)]
        assert face_quality(face(profile), crop, 640, 480) < LEAST_USABLE

    def test_looking_aside_lowers_it(self, crop):
        aside = [*FRONTAL[:2], (60, 58), (57, 75), *FRONTAL[4:]]
        assert 0.3 < face_quality(face(aside), crop, 640, 480) <= 1

    @given(
        st.lists(st.tuples(*[st.floats(-50, 150)] * 2), min_size=6, max_size=6),
        st.floats(0.1, 900),
        st.integers(0, 255),
        st.integers(1, 200),
    )
    def test_it_is_always_a_part_of_one(self, points, side, level, size):
        flat = np.full((size, size, 3), level, np.uint8)
        assert 0 <= face_quality(face(points, side), flat, 640, 480) <= 1

    def test_a_box_without_area_is_unusable(self, crop):
        empty = replace(face(), box=Box(10, 10, 0, 0))
        assert face_quality(empty, crop, 640, 480) == 0
