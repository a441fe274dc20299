"""Conversion: from the carrier of the ImageNet weights to files that a fit can start from.

Two forms: folded (f32, for `fimq-default`) and Keras's with batch norms (f16 kernels, for the
paper's recipes). Each is proved against the carrier's own graph before it is written.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from fimq.errors import MappingDiffers
from fimq_training.networks import unfolded
from fimq_training.networks.startweights import Carrier, convert, prove

SIZE = 128
PROOFS = 16  #: photographs that both are run on
#: Kernels as f16 move pooled features, which reach about 4, by so much at most.
ROUNDED = 0.1


def convert_folded(tarball: Path, out: Path) -> float:
    """Write the folded form; returns how far features differ, as `convert`.

    Raises:
        WrongCarrier, MappingDiffers: nothing is written.
    """
    return convert(tarball, out, unfolded.photos(SIZE, PROOFS))


def convert_unfolded(tarball: Path, out: Path, photos: NDArray[np.uint8] | None = None) -> float:
    """Write Keras's form; returns how far features differ before kernels are rounded to f16.

    Args:
        tarball: the carrier.
        out: the npz to write.
        photos: uint8 RGB [N, 128, 128, 3] that the batch norms are set by; scikit-image's
            photographs if left out.

    Raises:
        WrongCarrier, MappingDiffers: nothing is written.
    """
    carrier = Carrier.read(tarball)
    photos = unfolded.photos(SIZE) if photos is None else photos
    proofs = photos[:PROOFS].astype(np.float32)
    theirs = carrier.features(proofs).mean((1, 2))
    net = _network()
    unfolded.fill(net, carrier.folded())
    difference = prove(theirs, _features(net, proofs))
    unfolded.reestimate(net, photos)
    prove(theirs, _features(net, proofs))
    part = out.with_name(f"{out.name}.proof")
    unfolded.save(net, part)
    try:
        again = _network()
        unfolded.load(again, part)
        prove(theirs, _features(again, proofs), ROUNDED)
    except MappingDiffers:
        part.unlink()
        raise
    part.replace(out)
    return difference


def _network() -> Any:
    return keras.applications.EfficientNetB0(
        include_top=False, weights=None, input_shape=(SIZE, SIZE, 3)
    )


def _features(net: Any, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pooled features [N, 1280], in batches: memory is for photographs."""
    return np.concatenate(
        [
            np.asarray(tf.reduce_mean(net(images[i : i + 16], training=False), [1, 2]))
            for i in range(0, len(images), 16)
        ]
    )
