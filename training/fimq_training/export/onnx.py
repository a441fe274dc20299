"""Export: a network to one ONNX file that a worker can serve.

The file takes crops as they are, uint8 RGB [N, size, size, 3], and gives `probabilities`
[N, K]: preprocessing is inside, calibration is not (the manifest has it). In `f16` large
tensors are stored as f16 and computed in f32, which halves the file. The way is SavedModel ->
tf2onnx, because Keras' own ONNX export is broken for this network. What a tool writes into the
file about the machine it ran on is taken out.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import tensorflow as tf
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from fimq.errors import ExportFailed
from fimq_training.networks import folded
from fimq_training.networks.folded_model import Weights

OPSET = 18
LEAST_HALVED = 256  #: numbers in a tensor that is worth storing as f16
Precision = Literal["f16", "f32"]


class Exported(tf.Module):  # type: ignore[misc] # TensorFlow has no types
    """A network with a served signature; the framework's side of every parity check."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        crops = tf.TensorSpec([None, size, size, 3], tf.uint8, name="crops")
        self.probabilities = tf.function(self._answer, input_signature=[crops])

    def score(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Class scores [N, K] of crops, uncalibrated."""
        return np.asarray(self.probabilities(tf.constant(crops))["probabilities"], np.float64)

    def _answer(self, crops: Any) -> dict[str, Any]:
        return {"probabilities": self._scores(tf.cast(crops, tf.float32))}

    def _scores(self, images: Any) -> Any:
        raise NotImplementedError


class Network(Exported):
    """The folded network; classes are real and manipulated, or real and each method."""

    def __init__(self, weights: Weights, size: int = 128, precision: Precision = "f16") -> None:
        """Round the weights to what the file will hold, so that both say the same."""
        super().__init__(size)
        served = {k: v for k, v in weights.items() if not k.startswith("mask_")}
        if precision == "f16":
            served = {name: halved(value) for name, value in served.items()}
        self.parameters = {name: tf.constant(value) for name, value in served.items()}

    def _scores(self, images: Any) -> Any:
        output = folded.forward(self.parameters, images)
        # Two sigmoids, not 1 - p: so that neither loses its last digits near 0.
        real, fake = tf.sigmoid(-output.logits)[:, None], tf.sigmoid(output.logits)[:, None]
        if output.method_logits is not None:
            fake *= tf.nn.softmax(output.method_logits)
        return tf.concat([real, fake], 1)


class KerasNetwork(Exported):
    """A Keras model that gives class probabilities."""

    def __init__(self, model: Any, size: int, precision: Precision = "f16") -> None:
        """Round the model's weights to what the file will hold, so that both say the same."""
        super().__init__(size)
        self.model = model
        if precision == "f16":
            for variable in model.weights:
                variable.assign(halved(np.asarray(variable.value)))

    def _scores(self, images: Any) -> Any:
        return self.model(images, training=False)


def halved(value: NDArray[np.float32]) -> NDArray[np.float32]:
    """A large tensor rounded to what f16 can hold; small ones stay as they are."""
    return value.astype(np.float16).astype(np.float32) if value.size > LEAST_HALVED else value


def to_onnx(network: Exported, out: Path, precision: Precision = "f16") -> None:
    """Write the network to `out`.

    Raises:
        ExportFailed: the converter refused; its last words are the message.
    """
    model = converted(network, network.probabilities)
    if precision == "f16":
        _store_halved(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(out))


def converted(module: Any, signature: Any) -> Any:
    """A tf.Module's function as an ONNX model that names no machine.

    Raises:
        ExportFailed: the converter refused; its last words are the message.
    """
    with tempfile.TemporaryDirectory() as folder:
        saved, converted = Path(folder, "saved"), Path(folder, "model.onnx")
        tf.saved_model.save(module, str(saved), signatures=signature)
        command = [
            *(sys.executable, "-m", "tf2onnx.convert", "--saved-model", str(saved)),
            *("--output", str(converted), "--opset", str(OPSET)),
        ]
        done = subprocess.run(  # noqa: S603 - our own interpreter on our own folder
            command, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise ExportFailed(done.stderr.strip().splitlines()[-1] if done.stderr else "no answer")
        model = onnx.load(str(converted))
    _forget_the_machine(model)
    return model


def onnx_scorer(path: Path) -> Any:
    """Score crops with ONNX Runtime on one thread: class scores [N, K]."""
    import onnxruntime  # noqa: PLC0415 - only who scores needs it

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def score(crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        return np.asarray(session.run(None, {name: crops})[0], np.float64)

    return score


def _forget_the_machine(model: Any) -> None:
    model.producer_name, model.producer_version, model.doc_string = "fimq", "", ""
    model.graph.name, model.graph.doc_string = "fimq", ""
    del model.metadata_props[:]
    for node in model.graph.node:
        node.doc_string = ""


def _store_halved(model: Any) -> None:
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size > LEAST_HALVED:
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_f16"))
            casts.append(helper.make_node("Cast", [f"{name}_f16"], [name], to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*casts, *nodes])
