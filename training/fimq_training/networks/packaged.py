"""Packaged weights: those of a model package as folded arrays, so that a fit can go on from it.

What the exporter wrote, read back: a file has the constants of its layers in the order of
`folded.shapes`, a kernel and its bias each. Nothing is believed: the arrays must give the
package's golden crops the scores that its own file gives them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tensorflow as tf
from numpy.typing import NDArray
from onnx import numpy_helper

from fimq.errors import ModelMissing, PackageUnfit
from fimq.models.package import ModelPackage
from fimq_training.arrays import write_arrays
from fimq_training.networks import folded
from fimq_training.networks.folded_model import CLASSIFIER

TOLERANCE = 1e-3  #: of scores in 0..1


def opened(folder: Path) -> ModelPackage:
    """The package in a folder.

    Raises:
        PackageUnfit: there is none.
        ModelInvalid: it is damaged.
    """
    try:
        return ModelPackage.open(folder)
    except ModelMissing as error:
        raise PackageUnfit(f"{folder} is no model package: {error.message}") from error


def convert(package: ModelPackage, out: Path) -> float:
    """Write the weights by the names of `folded`; large ones are f16 rounded, as the file has them.

    The second head is not there: a file that is served does not have it.

    Returns:
        How far the scores of the golden crops differ at most.

    Raises:
        PackageUnfit: it is another network, or they differ by more than TOLERANCE;
            nothing is written.
        DiskFull: there was no room.
    """
    weights = weights_of(package)
    crops = tf.constant(package.golden.crops, tf.float32)
    mine = tf.sigmoid(folded.forward(weights, crops).logits).numpy()
    manipulated = [each.manipulated for each in package.manifest.classes]
    difference = float(np.abs(mine - package.golden.scores[:, manipulated].sum(1)).max())
    if not difference <= TOLERANCE:
        raise PackageUnfit(f"{_another(package)}: scores differ by {difference:.1e}")
    write_arrays(out, weights)
    return difference


def weights_of(package: ModelPackage) -> dict[str, NDArray[np.float32]]:
    """The weights by the names of `folded`.

    Raises:
        PackageUnfit: it is another network.
    """
    shapes = {**folded.shapes(), **{name: folded.head(0)[name].shape for name in CLASSIFIER}}
    constants = list(_constants(onnx.load_from_string(package.onnx)))
    if [array.size for array in constants] != [math.prod(shape) for shape in shapes.values()]:
        raise PackageUnfit(_another(package))
    return {
        name: array.astype(np.float32).reshape(shape)
        for (name, shape), array in zip(shapes.items(), constants, strict=True)
    }


def _another(package: ModelPackage) -> str:
    return f"{package.manifest.label} is not the network of fimq-default"


def _constants(model: Any) -> Iterator[NDArray[Any]]:
    """Kernel and bias of every layer in the order of the graph, as TensorFlow lays them out."""
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Cast" and node.input[0] in arrays:
            arrays[node.output[0]] = arrays[node.input[0]]
        elif node.op_type == "Conv":
            kernel = arrays[node.input[1]]
            # ONNX has [out, in, h, w]; a depthwise kernel is [h, w, out, 1] here.
            yield kernel.transpose((2, 3, 0, 1) if kernel.shape[1] == 1 else (2, 3, 1, 0))
            if len(node.input) == 3:
                yield arrays[node.input[2]]
        elif node.op_type in {"MatMul", "Add"}:
            yield from (arrays[name] for name in node.input if name in arrays)
