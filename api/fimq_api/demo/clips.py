"""The demo's clips: free pictures under a moving camera, encoded as ordinary H.264.

The portrait is NASA's astronaut Eileen Collins, the faceless picture SpaceX's rocket; both
are in the public domain and lie inside scikit-image.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from fimq.errors import ServiceError
from fimq_api.demo.blend import swap_face

Picture = NDArray[np.uint8]

WIDTH, HEIGHT, FPS, SECONDS = 640, 480, 25, 7
#: The face in the astronaut picture: x, y, width, height.
_FACE = (168, 60, 112, 140)


class PortraitMissing(ServiceError):
    """The demo's pictures are not installed."""

    code = "portrait_missing"
    hint = "Install fimq with its extra `demo`, or: fimq demo --video YOUR_VIDEO"


def make_clips(folder: Path) -> list[Path]:
    """Write the clips into `folder`; what is there already is kept.

    Raises:
        PortraitMissing: scikit-image is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    portrait = _picture("astronaut.png")
    wanted = {
        "portrait.mp4": portrait,
        "portrait-swapped.mp4": swap_face(portrait, _FACE),
        "rocket.mp4": _picture("rocket.jpg"),
    }
    for name, picture in wanted.items():
        if not (folder / name).exists():
            # Under its name only when whole: an interrupted demo can be run again.
            part = folder / f".{name}"
            _encode(part, _moving_camera(picture))
            part.rename(folder / name)
    return [folder / name for name in wanted]


def _picture(name: str) -> Picture:
    # scikit-image itself takes a second to import; its files are enough.
    spec = importlib.util.find_spec("skimage")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    for folder in folders:
        loaded = cv2.imread(str(Path(folder) / "data" / name))
        if loaded is not None:
            return np.asarray(loaded[:, :, ::-1], np.uint8)
    raise PortraitMissing


def _moving_camera(picture: Picture) -> Iterator[Picture]:
    """A hand-held camera: it drifts, breathes and tilts over a picture that fills the frame."""
    height, width = picture.shape[:2]
    cover = 1.18 * max(WIDTH / width, HEIGHT / height)
    large = cv2.resize(picture, None, fx=cover, fy=cover, interpolation=cv2.INTER_CUBIC)
    # The upper part is where a portrait has its face.
    middle = (large.shape[1] / 2, min(large.shape[0] / 2, HEIGHT * 0.55))
    for number in range(FPS * SECONDS):
        phase = 2 * math.pi * number / (FPS * SECONDS)
        zoom = 1.03 + 0.03 * math.sin(phase)
        tilt = 1.5 * math.sin(2 * phase)
        view = cv2.getRotationMatrix2D(middle, tilt, zoom)
        view[0, 2] += WIDTH / 2 - middle[0] + 14 * math.sin(phase)
        view[1, 2] += HEIGHT / 2 - middle[1] + 8 * math.cos(2 * phase)
        yield np.asarray(
            cv2.warpAffine(large, view, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT), np.uint8
        )


def _encode(path: Path, pictures: Iterator[Picture]) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "21"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, FPS)
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
