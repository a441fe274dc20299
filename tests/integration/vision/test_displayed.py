import io
import struct

import av
import numpy as np
import pytest

from fimq_worker.vision.picture import Picture

ONE = 1 << 16


def phone_video(matrix: tuple[int, int, int, int]) -> io.BytesIO:
    """An MP4 whose top left quarter is white, with this display matrix in its track header."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        rgb = np.zeros((48, 64, 3), np.uint8)
        rgb[:24, :32] = 255
        for packet in [*stream.encode(av.VideoFrame.from_ndarray(rgb, "rgb24")), *stream.encode()]:
            container.mux(packet)
    content = bytearray(file.getvalue())
    start = content.index(b"tkhd") + 44
    a, b, c, d = matrix
    content[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    return io.BytesIO(bytes(content))


@pytest.mark.parametrize(
    ("matrix", "size", "white"),
    [
        ((ONE, 0, 0, ONE), (64, 48), "top left"),
        ((0, ONE, -ONE, 0), (48, 64), "top right"),
        ((-ONE, 0, 0, -ONE), (64, 48), "bottom right"),
        ((0, -ONE, ONE, 0), (48, 64), "bottom left"),
        ((-ONE, 0, 0, ONE), (64, 48), "top right"),
        ((ONE, 0, 0, -ONE), (64, 48), "bottom left"),
        ((0, ONE, ONE, 0), (48, 64), "top left"),
    ],
)
def test_a_phone_video_is_seen_as_players_show_it(matrix, size, white):
    with av.open(phone_video(matrix)) as container:
        frame = next(container.decode(video=0))
        picture = Picture.from_frame(frame, frame.rotation)
    assert (picture.width, picture.height) == size
    bright = picture.rgb(None, 2, 2)[..., 1] > 128
    corners = {"top left": 0, "top right": 1, "bottom left": 2, "bottom right": 3}
    assert np.flatnonzero(bright).tolist() == [corners[white]]
