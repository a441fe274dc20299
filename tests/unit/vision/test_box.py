import pytest
from hypothesis import given
from hypothesis import strategies as st

from fimq_worker.vision.box import Box

number = st.floats(-1e4, 1e4, allow_nan=False)
side = st.floats(0, 1e4, allow_nan=False)
boxes = st.builds(Box, number, number, side, side)


class TestBox:
    def test_a_box_is_all_of_itself(self):
        assert Box(3, 4, 10, 20).iou(Box(3, 4, 10, 20)) == 1

    def test_boxes_apart_share_nothing(self):
        assert Box(0, 0, 10, 10).iou(Box(10, 0, 10, 10)) == 0

    def test_half_of_each_is_a_third_of_both(self):
        assert Box(0, 0, 10, 10).iou(Box(5, 0, 10, 10)) == pytest.approx(1 / 3)

    def test_scaling_keeps_the_centre(self):
        assert Box(10, 20, 30, 40).scaled(2) == Box(-5, 0, 60, 80)

    @given(boxes, boxes)
    def test_iou_is_a_symmetric_part(self, one, other):
        assert one.iou(other) == pytest.approx(other.iou(one))
        assert 0 <= one.iou(other) <= 1
