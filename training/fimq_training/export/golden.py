"""Golden crops: what a package carries so that a runtime can be proved before it serves.

No picture of the training people is among them: they are made from scikit-image's astronaut,
which is in the public domain, and from patterns.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fimq_training.export.onnx import Exported
from fimq_training.manipulations import degradations
from fimq_training.manipulations.landmarks import Pixels
from fimq_worker.vision.box import Box
from fimq_worker.vision.crops import CropRule, crop_face
from fimq_worker.vision.picture import Picture

COUNT = 6  #: crops of the astronaut, and as many patterns
ASTRONAUT = Box(172, 66, 107, 107)  #: her face in scikit-image's picture
CLEAR = 0.02  #: the likeliest class leads by so much, so that rounding flips none


@dataclass(frozen=True, slots=True)
class Golden:
    """Crops with the class scores of the exporting framework."""

    crops: Pixels  #: [N, size, size, 3]
    scores: NDArray[np.float32]  #: [N, K]


def golden(network: Exported, rule: CropRule) -> Golden:
    """The golden crops of a network whose likeliest class is clear."""
    crops = np.stack([*_portraits(rule), *_patterns(rule.size)])
    scores = network.score(crops)
    ranked = np.sort(scores, 1)
    clear = ranked[:, -1] - ranked[:, -2] > CLEAR
    if not clear.any():
        clear[:] = True  # a network that knows nothing is no reason to have no crops
    return Golden(crops[clear], scores[clear].astype(np.float32))


def _portraits(rule: CropRule) -> Iterable[Pixels]:
    from skimage import data  # noqa: PLC0415 - the extra `demo`; only packages need it

    rng = np.random.default_rng(25)
    picture = np.ascontiguousarray(data.astronaut())  # type: ignore[no-untyped-call]
    yield crop_face(Picture.from_rgb(picture), ASTRONAUT, rule)
    for _ in range(COUNT - 1):
        shown = degradations.platform(ASTRONAUT.width, rng).apply(picture)
        x, y = ASTRONAUT.x + rng.normal(0, 4), ASTRONAUT.y + rng.normal(0, 4)
        side = ASTRONAUT.width * rng.uniform(0.85, 1.15)
        yield crop_face(Picture.from_rgb(shown), Box(x, y, side, side), rule)


def _patterns(size: int) -> Iterable[Pixels]:
    rng = np.random.default_rng(50)
    for index in range(COUNT):
        cells = 2 ** (index % 4 + 1)
        coarse = rng.integers(0, 256, (cells, cells, 3)).astype(np.uint8)
        way = cv2.INTER_CUBIC if index < COUNT // 2 else cv2.INTER_NEAREST
        yield np.asarray(cv2.resize(coarse, (size, size), interpolation=way), np.uint8)
