"""A tiny model that is real: an ONNX file, a manifest, golden crops. Made by the tests."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx

SIZE = 16
CLASSES = {
    "binary": ["real", "manipulated"],
    "seven": ["real", "df", "f2f", "fs", "nt", "fsh", "diffusion"],
}


def weights(classes: int) -> np.ndarray:
    return np.random.default_rng(classes).normal(0, 3, (3, classes)).astype(np.float32)


#: Sees blue: a face tinted blue is manipulated, any other is not, by a wide margin.
SEES_BLUE = np.array([[0, 0], [0, -100], [0, 95]], np.float32)


def expected(crops: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The same network in numpy."""
    logits = (crops.astype(np.float32).mean(axis=(1, 2)) / 255) @ matrix
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def make_network(classes: int, *, last: str = "Softmax", matrix: np.ndarray | None = None) -> bytes:
    """Mean colour, a matrix, softmax: tiny, and a real ONNX file."""
    helper, kinds = onnx.helper, onnx.TensorProto
    constants = {
        "axes": np.array([1, 2], np.int64),
        "white": np.array([255], np.float32),
        "matrix": weights(classes) if matrix is None else matrix,
    }
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["crops"], ["real"], to=kinds.FLOAT),
            helper.make_node("ReduceMean", ["real", "axes"], ["mean"], keepdims=0),
            helper.make_node("Div", ["mean", "white"], ["part"]),
            helper.make_node("MatMul", ["part", "matrix"], ["logits"]),
            helper.make_node(last, ["logits"], ["probabilities"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("crops", kinds.UINT8, ["n", SIZE, SIZE, 3])],
        [helper.make_tensor_value_info("probabilities", kinds.FLOAT, ["n", classes])],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(model.SerializeToString())


def write_package(
    folder: Path,
    kind: str = "binary",
    *,
    golden_change: float = 0.0,
    content: bytes | None = None,
    name: str | None = None,
    version: str = "1",
    matrix: np.ndarray | None = None,
    crops: np.ndarray | None = None,
    scores: np.ndarray | None = None,
) -> Path:
    """Write a whole package. `golden_change` is added to the golden scores.

    `crops` and `scores` are golden ones for a `content` that is another network.
    """
    names = CLASSES[kind]
    folder.mkdir(parents=True, exist_ok=True)
    matrix = weights(len(names)) if matrix is None else matrix
    content = make_network(len(names), matrix=matrix) if content is None else content
    if crops is None:
        colours = np.random.default_rng(7).integers(0, 256, (8, 1, 1, 3)).astype(np.uint8)
        crops = np.broadcast_to(colours, (8, SIZE, SIZE, 3)).copy()
    size = crops.shape[1]
    (folder / "model.onnx").write_bytes(content)
    scores = expected(crops, matrix) if scores is None else scores
    scores = scores + np.float32(golden_change)
    np.savez(folder / "golden.npz", crops=crops, scores=scores)
    facts = {
        "name": name or f"tiny-{kind}",
        "version": version,
        "sha256": hashlib.sha256(content).hexdigest(),
        "input": {"size": size},
        "crop": {"scale": 1.3, "size": size},
        "classes": [{"name": name, "manipulated": name != "real"} for name in names],
        "thresholds": {"high_precision": 0.9, "high_recall": 0.3},
        "sampling": "every:25",
        "created": "2026-11-20T10:00:00+00:00",
        "experimental": True,
    }
    (folder / "manifest.json").write_text(json.dumps(facts))
    (folder / "card.md").write_text("# A tiny model for tests\n")
    return folder
