"""Colour: what the numbers of a decoded picture mean, and how they become RGB.

Conversion comes after resampling, on the few pixels that are wanted. It is done in
float32 with the stream's own matrix and range, because OpenCV knows BT.601 only and
swscale guesses BT.601 for HD without tags. High dynamic range is brought to the
standard range: diffuse white (203 nits, BT.2408) becomes white, brighter is compressed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

#: (kr, kb) by the code of ITU-T H.273, MatrixCoefficients.
MATRICES: Final = {
    1: (0.2126, 0.0722),  # BT.709
    4: (0.30, 0.11),  # FCC
    5: (0.299, 0.114),  # BT.601, 625 lines
    6: (0.299, 0.114),  # BT.601, 525 lines
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020
    10: (0.2627, 0.0593),  # BT.2020, constant luminance: near enough for faces
}
PQ: Final = 16
HLG: Final = 18
_WHITE_NITS: Final = 203.0
_PEAK_NITS: Final = 1000.0
_BT2020_TO_BT709: Final = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    np.float32,
)


@dataclass(frozen=True, slots=True)
class Colour:
    """Matrix, range, depth and transfer of YUV samples."""

    matrix: int  #: a key of MATRICES
    full_range: bool
    depth: int = 8  #: bits a sample
    transfer: int = 1  #: code of H.273, TransferCharacteristics

    @classmethod
    def guess_matrix(cls, matrix: int, width: int, height: int) -> int:
        """Return `matrix` if it is known, else what players take: BT.709 from HD on."""
        if matrix in MATRICES:
            return matrix
        return 1 if width >= 1280 or height > 576 else 6

    def yuv_to_rgb(self) -> NDArray[np.float32]:
        """The 3x4 matrix from samples (Y, U, V, 1) to RGB in 0..255."""
        kr, kb = MATRICES[self.matrix]
        kg = 1 - kr - kb
        step = 2.0 ** (self.depth - 8)
        top = 2.0**self.depth - 1
        black = 0.0 if self.full_range else 16 * step
        luma = 255 / (top if self.full_range else 219 * step)
        chroma = 255 / (top if self.full_range else 224 * step)
        linear = np.array(
            [
                [luma, 0, chroma * 2 * (1 - kr)],
                [luma, -chroma * 2 * kb * (1 - kb) / kg, -chroma * 2 * kr * (1 - kr) / kg],
                [luma, chroma * 2 * (1 - kb), 0],
            ]
        )
        zero = np.array([[black], [128 * step], [128 * step]])
        return np.hstack([linear, -linear @ zero]).astype(np.float32)

    def to_rgb(self, yuv: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Return samples of shape (height, width, 3) as RGB uint8."""
        rgb = cv2.transform(yuv.astype(np.float32), self.yuv_to_rgb())
        if self.transfer in {PQ, HLG}:
            rgb = 255 * _standard_range(np.clip(rgb / 255, 0, 1), self.transfer)
        return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def _standard_range(signal: NDArray[np.float32], transfer: int) -> NDArray[np.float32]:
    """Bring an HDR signal in [0, 1] (BT.2020 primaries) to a BT.709 signal in [0, 1]."""
    nits = _pq_nits(signal) if transfer == PQ else _hlg_nits(signal)
    light = np.asarray(cv2.transform(nits / np.float32(_WHITE_NITS), _BT2020_TO_BT709))
    light = _compress(np.clip(light, 0, None).astype(np.float32))
    coded = np.where(light < 0.018, 4.5 * light, 1.099 * np.power(light, 0.45) - 0.099)
    return coded.astype(np.float32)


def _pq_nits(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    """SMPTE ST 2084: signal to nits of the display."""
    root = np.power(signal, np.float32(1 / 78.84375))
    ratio = np.clip(root - 0.8359375, 0, None) / (18.8515625 - 18.6875 * root)
    return (10000 * np.power(ratio, 1 / 0.1593017578125)).astype(np.float32)


def _hlg_nits(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    """ARIB STD-B67: signal to nits of a display of 1000 nits (system gamma 1.2)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    luma = np.sum(scene * np.array([0.2627, 0.6780, 0.0593]), axis=-1, keepdims=True)
    return np.asarray(_PEAK_NITS * scene * np.power(luma, 0.2), np.float32)


def _compress(light: NDArray[np.float32], knee: float = 0.7) -> NDArray[np.float32]:
    """Keep light under the knee; bend what is above, so that it approaches 1 and stays under."""
    above = np.clip(light - knee, 0, None)
    room = 1 - knee
    return np.where(light <= knee, light, knee + room * above / (above + room)).astype(np.float32)
