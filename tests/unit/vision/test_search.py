import numpy as np
import pytest

from fimq_worker.vision.box import Box
from fimq_worker.vision.faces.base import FoundFace
from fimq_worker.vision.faces.search import FaceSearch
from fimq_worker.vision.picture import Picture
from fimq_worker.vision.shots import colours, is_cut

FACE = FoundFace(Box(1, 1, 5, 5), 0.9, ((0.0, 0.0),) * 6)


class RecordingFinder:
    """Finds what it is told to and remembers whether it got hints."""

    name = "recording"

    def __init__(self) -> None:
        self.faces = [FACE]
        self.everywhere: list[bool] = []

    def find(self, _picture, hints=()):
        self.everywhere.append(not hints)
        return self.faces


@pytest.fixture
def picture() -> Picture:
    return Picture.from_rgb(np.full((36, 64, 3), (200, 40, 40), np.uint8))


class TestFaceSearch:
    def test_every_fourth_sample_is_searched_everywhere(self, picture):
        finder = RecordingFinder()
        search = FaceSearch(finder)
        for _ in range(9):
            search.next(picture)
        assert finder.everywhere == [True, False, False, False] * 2 + [True]

    def test_a_new_shot_is_searched_everywhere(self, picture):
        finder = RecordingFinder()
        search = FaceSearch(finder)
        for cut in (False, False, True, False):
            search.next(picture, cut=cut)
        assert finder.everywhere == [True, False, True, False]

    def test_without_known_faces_all_is_searched(self, picture):
        finder = RecordingFinder()
        finder.faces = []
        search = FaceSearch(finder)
        for _ in range(3):
            search.next(picture)
        assert finder.everywhere == [True] * 3


class TestShots:
    def test_another_picture_is_a_cut(self, picture):
        other = Picture.from_rgb(np.full((36, 64, 3), (20, 40, 240), np.uint8))
        assert is_cut(colours(picture), colours(other))

    def test_the_same_picture_moved_is_none(self):
        random = np.random.default_rng(5)
        scene = np.repeat(np.repeat(random.integers(0, 255, (9, 16, 3)), 8, 0), 8, 1)
        before, after = scene.astype(np.uint8), np.roll(scene, 9, axis=1).astype(np.uint8)
        assert not is_cut(colours(Picture.from_rgb(before)), colours(Picture.from_rgb(after)))
