"""Landmarks: 468 points on one face, by MediaPipe's mesh model run through OpenVINO.

Forgeries are cut along these points, so they are read only when pairs are made; serving
never needs them. The model wants an upright face that fills its input, which a box alone
does not give: the mesh is read twice, the second time along the first result.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]  #: RGB, shape (height, width, 3)
Points = NDArray[np.float32]  #: shape (n, 2): x to the right, y down, in pixels

COUNT = 468  #: points of a mesh
INPUT = 192  #: side of the model's input in pixels
MARGIN = 1.5  #: side of the cut over the longer side of the face

OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
LIPS = (
    *(61, 146, 91, 181, 84, 17, 314, 405, 321, 375),
    *(291, 409, 270, 269, 267, 0, 37, 39, 40, 185),
)
OPENING = (
    *(78, 191, 80, 81, 82, 13, 312, 311, 310, 415),
    *(308, 324, 318, 402, 317, 14, 87, 178, 88, 95),
)
EYE_LEFT = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
EYE_RIGHT = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
BROW_LEFT = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
BROW_RIGHT = (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
NOSE = (168, 6, 197, 195, 5, 4, 1, 19, 94, 2, 98, 97, 326, 327, 49, 279, 48, 278, 64, 294)
LOWER = (
    *(50, 280, 187, 411, 4, 93, 323, 132, 361, 58, 288, 172),
    *(397, 136, 365, 150, 379, 149, 378, 176, 400, 148, 377, 152),
)
MOUTH = (*LIPS, 78, 308, 13, 14, 82, 312, 87, 317, 200, 199, 18)
JAW = (152, 148, 377, 176, 400)
#: The points along which two faces are laid over each other.
FIT = (*OVAL[::2], *EYE_LEFT[::4], *EYE_RIGHT[::4], *NOSE[::3], *LIPS[::4])
#: The points that carry a shape or an expression.
SHAPE = (
    *MOUTH,
    *OVAL,
    *EYE_LEFT[::2],
    *EYE_RIGHT[::2],
    *BROW_LEFT[::2],
    *BROW_RIGHT[::2],
    *NOSE[::2],
)
EXPRESSION_OF_MOUTH = (*MOUTH, *JAW)


@dataclass(frozen=True, slots=True)
class Mesh:
    """The points of one face in pixels of the picture, and how face-like the model found it."""

    points: Points
    score: float  #: in [0, 1]


class MeshReader:
    """Reads meshes from pictures, on one thread and in f32."""

    def __init__(self, model: Path) -> None:
        import openvino  # noqa: PLC0415 - half a second that only pair making needs

        core = openvino.Core()
        core.set_property("CPU", {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"})
        self._model: Any = core.compile_model(core.read_model(str(model)), "CPU")

    def read(self, picture: Pixels, centre: tuple[float, float], side: float) -> Mesh:
        """Read the mesh of the face round `centre` whose box has the longer side `side`."""
        angle = 0.0
        mesh = Mesh(np.zeros((COUNT, 2), np.float32), 0.0)
        for _ in range(2):
            mesh = self._look(picture, centre, side * MARGIN, angle)
            low, high = mesh.points.min(0), mesh.points.max(0)
            middle = (low + high) / 2
            centre, side = (float(middle[0]), float(middle[1])), float((high - low).max())
            eyes = mesh.points[EYE_RIGHT[0]] - mesh.points[EYE_LEFT[0]]
            angle = float(np.degrees(np.arctan2(eyes[1], eyes[0])))
        return mesh

    def _look(
        self, picture: Pixels, centre: tuple[float, float], side: float, angle: float
    ) -> Mesh:
        turn = cv2.getRotationMatrix2D(centre, angle, INPUT / max(side, 1.0))
        turn[:, 2] = turn[:, 2] + INPUT / 2 - np.array(centre)
        cut = cv2.warpAffine(
            picture, turn, (INPUT, INPUT), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
        )
        result = self._model((cut[None] / 255).astype(np.float32))
        points, score = sorted(
            (result[i] for i in range(len(self._model.outputs))), key=lambda a: -a.size
        )[:2]
        flat = points.reshape(COUNT, 3)[:, :2]
        return Mesh(
            points=carry(flat, cv2.invertAffineTransform(turn)),
            score=float(1 / (1 + np.exp(-float(score.ravel()[0])))),
        )


def carry(points: NDArray[Any], matrix: NDArray[Any]) -> Points:
    """Take points through a 2 x 3 affine matrix."""
    moved: Points = (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    return moved


def similarity(source: NDArray[Any], target: NDArray[Any]) -> NDArray[np.float64]:
    """Return the 2 x 3 turn, scale and shift that lays `source` over `target` best."""
    middle, goal = source.mean(0, dtype=np.float64), target.mean(0, dtype=np.float64)
    x, y = source - middle, target - goal
    spread = (x**2).sum()
    cos = (x * y).sum() / spread
    sin = (x[:, 0] * y[:, 1] - x[:, 1] * y[:, 0]).sum() / spread
    turn = np.array([[cos, -sin], [sin, cos]])
    return np.column_stack([turn, goal - turn @ middle])
