from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fimq_worker.vision.faces.tiles import tiles


class TestTiles:
    def test_full_hd_takes_four_by_two(self):
        assert len(tiles(1920, 1080, 48)) == 8

    def test_a_small_picture_takes_none(self):
        assert tiles(640, 480, 48) == []

    def test_a_huge_picture_takes_larger_ones_too(self):
        assert sorted({tile.width for tile in tiles(3840, 2160, 48)}) == [576, 2304]

    @given(st.integers(1, 5000), st.integers(1, 5000))
    def test_every_small_face_is_whole_in_some_tile(self, width, height):
        found = tiles(width, height, 48)
        for axis, length in (("x", width), ("y", height)):
            starts = sorted({getattr(tile, axis) for tile in found if tile.width == 576})
            assert all(after - before <= 576 - 48 for before, after in pairwise(starts))
            if starts:
                assert starts[0] == 0
                assert starts[-1] + 576 >= length - 1
