"""A fitted painter as one ONNX file, so that who makes pairs needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray

from fimq_training.disk import room_for
from fimq_training.export.onnx import converted
from fimq_training.networks.names import by_name
from fimq_training.networks.painter import Upsampling, painter


class _Painting(tf.Module):  # type: ignore[misc] # TensorFlow has no types
    """Canvases [N, s, s, 5] to pictures [N, s, s, 3], both uint8."""

    def __init__(self, weights: Mapping[str, NDArray[Any]], upsampling: Upsampling) -> None:
        super().__init__()
        self.model = painter(upsampling)
        for name, variable in by_name(self.model.weights).items():
            variable.assign(weights[name])
        canvas = tf.TensorSpec([None, None, None, 5], tf.uint8, name="canvas")
        self.painted = tf.function(self._painted, input_signature=[canvas])

    def _painted(self, canvas: Any) -> dict[str, Any]:
        picture = self.model(tf.cast(canvas, tf.float32), training=False)
        return {"picture": tf.cast(tf.clip_by_value(tf.round(picture), 0, 255), tf.uint8)}


def write_painter(weights: Mapping[str, NDArray[Any]], upsampling: Upsampling, out: Path) -> None:
    """Write a painter to `out`.

    Raises:
        ExportFailed: the converter refused.
        DiskFull: there was no room.
    """
    painting = _Painting(weights, upsampling)
    model = converted(painting, painting.painted)
    part = out.with_name(f"{out.name}.part")
    with room_for(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(model.SerializeToString())
        part.replace(out)
