from fractions import Fraction

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from fimq_worker.vision.box import Box
from fimq_worker.vision.picture import Picture
from fimq_worker.vision.samples import Samples


def pattern(width: int, height: int) -> NDArray[np.uint8]:
    """Smooth, and different everywhere; the third channel is flat, as chroma is halved."""
    y, x = np.mgrid[0:height, 0:width]
    flat = np.full_like(x, 90)
    return np.stack([x * 255 // width, y * 255 // height, flat], -1).astype(np.uint8)


def frame_of(rgb: NDArray[np.uint8], pixels: str) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format=pixels)


class TestPictureFromFrames:
    @pytest.mark.parametrize(
        "pixels",
        [
            *("yuv420p", "yuv422p", "yuv444p", "yuv440p", "yuv411p", "yuvj420p", "nv12", "yuyv422"),
            *("yuv420p10le", "yuv422p10le", "yuv444p12le", "yuv420p12be", "p010le"),
            *("rgb24", "bgr24", "gbrp", "rgba", "yuva420p"),
        ],
    )
    def test_every_pixel_format_shows_the_same_colours(self, pixels):
        smooth = pattern(320, 240)
        seen = Picture.from_frame(frame_of(smooth, pixels)).rgb(None, 160, 120)
        plain = Picture.from_rgb(smooth).rgb(None, 160, 120)
        assert np.abs(seen.astype(int) - plain).max() <= 5

    @pytest.mark.parametrize("corner", [(0, 0), (11, 20), (21, 13), (150, 101)])
    def test_odd_regions_agree_with_the_whole_picture(self, corner):
        smooth = pattern(320, 240)
        frame = Picture.from_frame(frame_of(smooth, "yuv420p"))
        box = Box(*corner, 97, 97)
        difference = frame.rgb(box, 97, 97).astype(int) - Picture.from_rgb(smooth).rgb(box, 97, 97)
        assert np.abs(difference).max() <= 4

    @pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 7), (3, 1), (641, 361)])
    def test_any_size_can_be_read(self, width, height):
        frame = av.VideoFrame(width, height, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([128]) * plane.buffer_size)
        seen = Picture.from_frame(frame).rgb(Box(-5, -3, 12, 9), 24, 18)
        assert seen.shape == (18, 24, 3)
        assert len(np.unique(seen)) == 1

    def test_rotation_turns_counter_clockwise(self):
        smooth = pattern(32, 24)
        for turns in range(4):
            picture = Picture.from_frame(frame_of(smooth, "rgb24"), rotation=90 * turns)
            turned = np.rot90(smooth, turns)
            assert (picture.height, picture.width) == turned.shape[:2]
            assert np.array_equal(picture.rgb(Box(3, 5, 7, 9), 7, 9), turned[5:14, 3:10])

    def test_a_mirrored_picture_is_mirrored_before_it_is_turned(self):
        smooth = pattern(32, 24)
        picture = Picture(Samples(smooth), rotation=-90, mirrored=True)
        turned = np.rot90(smooth[::-1], -1)
        assert np.array_equal(picture.rgb(Box(3, 5, 7, 9), 7, 9), turned[5:14, 3:10])

    @pytest.mark.parametrize("rotation", [-2147483648, 45, 30])
    def test_a_rotation_of_nonsense_is_none(self, rotation):
        assert Picture.from_frame(av.VideoFrame(32, 24, "rgb24"), rotation=rotation).width == 32

    @pytest.mark.parametrize(
        ("ratio", "size"),
        [
            (Fraction(2), (64, 24)),
            (Fraction(1, 2), (32, 48)),
            (Fraction(0), (32, 24)),
            (Fraction(10**6), (32, 24)),
            (None, (32, 24)),
        ],
    )
    def test_pixels_become_square_by_widening(self, ratio, size):
        picture = Picture.from_frame(av.VideoFrame(32, 24, "rgb24"), sample_aspect_ratio=ratio)
        assert (picture.width, picture.height) == size

    def test_what_is_transparent_lies_over_black(self):
        clear = np.full((8, 8, 4), 255, np.uint8)
        clear[..., 3] = 51
        frame = av.VideoFrame.from_ndarray(clear, "rgba")
        assert np.unique(Picture.from_frame(frame).rgb(None, 8, 8)).tolist() == [51]

    @pytest.mark.parametrize("matrix", [1, 5, 7, 9])
    def test_the_matrix_of_the_stream_is_used(self, matrix):
        smooth = pattern(320, 240)
        source = av.VideoFrame.from_ndarray(smooth, "rgb24")
        frame = source.reformat(format="yuv444p", dst_colorspace=matrix)
        frame.colorspace = matrix
        seen = Picture.from_frame(frame).rgb(None, 320, 240)
        assert np.abs(seen.astype(int) - smooth).max() <= 3

    def test_full_range_is_not_stretched(self):
        frame = av.VideoFrame.from_ndarray(np.full((8, 8), 235, np.uint8), "gray")
        frame.color_range = 2
        assert Picture.from_frame(frame).rgb(None, 8, 8).max() == 235

    @pytest.mark.parametrize(("transfer", "white"), [(16, 594), (18, 768)])
    def test_white_of_high_dynamic_range_is_nearly_white(self, transfer, white):
        frame = av.VideoFrame(16, 16, "yuv420p10le")
        for plane, value in zip(frame.planes, (white, 512, 512), strict=True):
            plane.update(np.full(plane.buffer_size // 2, value, "<u2").tobytes())
        frame.color_trc = transfer
        frame.colorspace = 9
        assert 215 <= Picture.from_frame(frame).rgb(None, 4, 4).min() <= 245
