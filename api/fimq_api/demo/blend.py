"""A manipulation of our own: another rendering of a face, blended into its place.

The face is warped, recoloured and softened, then blended back by a mask with a soft edge:
the traces that face swaps leave (a seam, a second noise level, a colour step) without any
other person. For the demo only; training has its own, richer forgeries.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def swap_face(picture: Picture, box: tuple[int, int, int, int]) -> Picture:
    """Return the picture (RGB, uint8) with the face in `box` (x, y, width, height) replaced."""
    x, y, width, height = box
    source = _other_rendering(picture[y : y + height, x : x + width])
    mask = _mask(height, width)[..., None]
    result = picture.copy()
    under = result[y : y + height, x : x + width].astype(np.float32)
    blended = under * (1 - mask) + source.astype(np.float32) * mask
    result[y : y + height, x : x + width] = np.clip(blended + 0.5, 0, 255).astype(np.uint8)
    return result


def _other_rendering(face: Picture) -> Picture:
    height, width = face.shape[:2]
    # Mirrored and stretched a little: the features no longer sit where the head has them.
    middle = (width / 2, height / 2)
    turn = cv2.getRotationMatrix2D(middle, 4.0, 1.06)
    turned = cv2.warpAffine(
        face[:, ::-1].copy(), turn, (width, height), borderMode=cv2.BORDER_REFLECT
    )
    # Through half the resolution and back, as the output of a small generator.
    small = cv2.resize(turned, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)
    soft = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    lab = cv2.cvtColor(soft, cv2.COLOR_RGB2LAB).astype(np.float32)
    lab += np.array([6.0, 5.0, -4.0], np.float32)
    recoloured = cv2.cvtColor(np.clip(lab, 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB)
    return np.asarray(recoloured, np.uint8)


def _mask(height: int, width: int) -> NDArray[np.float32]:
    mask = np.zeros((height, width), np.float32)
    centre = (width // 2, int(height * 0.52))
    axes = (int(width * 0.40), int(height * 0.44))
    cv2.ellipse(mask, centre, axes, 0, 0, 360, 1.0, -1)
    return cv2.GaussianBlur(mask, (0, 0), max(1.0, 0.03 * width)).astype(np.float32)
