"""Pictures of one face: NASA's astronaut (public domain, from scikit-image), in 320x240.

The face lies at `FACE`; what takes (count, width, height) gives the pictures of a film, drifting a
little. A face tinted blue is what `tinymodel.SEES_BLUE` calls manipulated.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clips import pictures

Picture = NDArray[np.uint8]

WIDTH, HEIGHT = 320, 240
#: x, y, width and height of the face in `portrait()`, as the face finder sees it.
FACE = (105, 39, 73, 73)
_BLUE = np.array([1, 1, 1.5])


@cache
def portrait() -> Picture:
    """The upper part of the astronaut picture, read without importing scikit-image."""
    spec = importlib.util.find_spec("skimage")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    path = Path(spec.submodule_search_locations[0]) / "data" / "astronaut.png"
    with Image.open(path) as image:
        whole = np.asarray(image.convert("RGB").resize((WIDTH, WIDTH), Image.Resampling.LANCZOS))
    return whole[:HEIGHT].copy()


def blue(picture: Picture) -> Picture:
    return np.clip(picture * _BLUE, 0, 255).astype(np.uint8)


def drift(picture: Picture, index: int) -> Picture:
    """The picture moved by a few pixels, so that no two frames of a film are the same."""
    return np.roll(picture, index % 5, axis=1)


def of(picture: Picture) -> Callable[[int, int, int], Iterator[Picture]]:
    """Content of a clip: this one picture, drifting."""

    def make(count: int, width: int, height: int) -> Iterator[Picture]:
        assert picture.shape == (height, width, 3), picture.shape
        return (drift(picture, index) for index in range(count))

    return make


def speaker(count: int, width: int, height: int) -> Iterator[Picture]:
    scaled = portrait()
    if (width, height) != (WIDTH, HEIGHT):
        scaled = cv2.resize(scaled, (width, height), interpolation=cv2.INTER_AREA)
    return (drift(scaled, index) for index in range(count))


def lying(quarters: int) -> Callable[[int, int, int], Iterator[Picture]]:
    """The speaker as a camera that was turned stores it."""

    def make(count: int, width: int, height: int) -> Iterator[Picture]:
        return (np.rot90(frame, -quarters) for frame in speaker(count, WIDTH, HEIGHT))

    return make


def one_colour(count: int, width: int, height: int) -> Iterator[Picture]:
    picture = np.full((height, width, 3), (30, 60, 90), np.uint8)
    return (picture for _ in range(count))


def black(count: int, width: int, height: int) -> Iterator[Picture]:
    picture = np.zeros((height, width, 3), np.uint8)
    return (picture for _ in range(count))


def comes_and_goes(count: int, width: int, height: int) -> Iterator[Picture]:
    """No face but from 10 to 28 and from 34 on."""
    faces, empty = list(speaker(count, width, height)), list(pictures(count, width, height))
    return (faces[i] if 10 <= i < 28 or i >= 34 else empty[i] for i in range(count))


def one_blue(count: int, width: int, height: int) -> Iterator[Picture]:
    frames = speaker(count, width, height)
    return (blue(frame) if index == count // 2 else frame for index, frame in enumerate(frames))


def swapping(*, first: bool) -> Callable[[int, int, int], Iterator[Picture]]:
    """Two persons side by side, one of them blue, who swap places half-way."""

    def make(count: int, width: int, height: int) -> Iterator[Picture]:
        one, other = portrait(), blue(portrait()[:, ::-1])
        for index in range(count):
            pair = [drift(one, index), drift(other, index)]
            yield np.hstack(pair if first == (index < count // 2) else pair[::-1])

    return make


def two_persons(count: int, width: int, height: int) -> Iterator[Picture]:
    for index in range(count):
        yield drift(np.hstack([portrait(), blue(portrait()[:, ::-1])]), index)


def crowd() -> Picture:
    """Sixty faces."""
    head = cv2.resize(portrait()[0:150, 65:215], (128, 128), interpolation=cv2.INTER_AREA)
    return np.vstack([np.hstack([head] * 10)] * 6)


def cartoon() -> Picture:
    picture = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    cv2.circle(picture, (160, 120), 80, (255, 220, 60), -1)
    for x in (130, 190):
        cv2.circle(picture, (x, 100), 10, (0, 0, 0), -1)
    cv2.ellipse(picture, (160, 140), (40, 25), 0, 0, 180, (0, 0, 0), 4)
    return picture


def small_face() -> Picture:
    """A face of about 34 pixels, less than the size rule asks for."""
    picture = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    picture[60:172, 80:229] = cv2.resize(portrait(), (149, 112), interpolation=cv2.INTER_AREA)
    return picture


def window(x: int, y: int, width: int, height: int) -> Picture:
    """A part of the portrait, enlarged to fill the frame."""
    part = portrait()[y : y + height, x : x + width]
    return cv2.resize(part, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
