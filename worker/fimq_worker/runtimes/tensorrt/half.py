"""Half precision: a network's convolutions and what lies between them, in f16.

TensorRT 11 and TensorRT-RTX compute each tensor in the type that the network gives it, so
the network itself is rewritten. What is before the first weighted operation (uint8, the
preprocessing) and after the last one (softmax or sigmoid, where half precision would cost
most) stays as it is, with a cast at either edge.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

from fimq.errors import ModelInvalid
from fimq_worker.runtimes.base import NoSuchPrecision

_WEIGHTED: Final = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
#: Operations whose result has the type of every one of their float inputs.
_PLAIN: Final = _WEIGHTED | {
    *("Add", "AveragePool", "BatchNormalization", "Clip", "Concat", "Div", "Elu", "Erf", "Exp"),
    *("Expand", "Flatten"),
    *("Gather", "Gelu", "GlobalAveragePool", "GlobalMaxPool", "HardSigmoid", "HardSwish"),
    *("Identity", "LeakyRelu", "Max", "MaxPool", "Min", "Mul", "Neg", "PRelu", "Pad"),
    *("Pow", "ReduceMax", "ReduceMean", "ReduceSum", "Relu", "Reshape", "Shape", "Sigmoid"),
    *("Slice", "Softmax", "Softplus", "Split", "Sqrt", "Squeeze", "Sub", "Tanh", "Transpose"),
    *("Unsqueeze", "Where"),
}
_LARGEST: Final = float(np.finfo(np.float16).max)


def halved(network: bytes) -> bytes:
    """Return a network that computes in f16 between its first and last weighted operation.

    Raises:
        NoSuchPrecision: it has operations that this room does not know, or weights beyond f16.
        ModelInvalid: it is no network.
    """
    try:
        model = onnx.load_from_string(network)
    except DecodeError as error:
        raise ModelInvalid("The model is no ONNX network") from error
    _Halving(model).run()
    return bytes(model.SerializeToString())


class _Halving:
    """One network while it is rewritten."""

    def __init__(self, model: Any) -> None:
        self.graph = model.graph
        self.types = _types(model)
        self.weights = {tensor.name: tensor for tensor in self.graph.initializer}
        _widen_stored_halves(self.graph, self.weights)
        self.body = _body(self.graph)
        self.made = {name for node in self.body for name in node.output}
        self.casts: dict[tuple[str, int], str] = {}

    def run(self) -> None:
        self._check()
        inside = {id(node) for node in self.body}
        nodes: list[Any] = []
        for node in self.graph.node:
            for index, name in enumerate(node.input):
                if not name or self.types.get(name) != TensorProto.FLOAT:
                    continue
                if id(node) in inside and name not in self.made:
                    node.input[index] = self._in(name, TensorProto.FLOAT16, nodes)
                elif id(node) not in inside and name in self.made:
                    node.input[index] = self._in(name, TensorProto.FLOAT, nodes)
            nodes.append(node)
            for output in self.graph.output:
                if output.name in self.made and output.name in node.output:
                    self._give_back(node, output.name, nodes)
        del self.graph.node[:]
        self.graph.node.extend(nodes)
        # Their types are no longer what they say; the parser finds them itself.
        del self.graph.value_info[:]
        used = {name for node in nodes for name in node.input}
        kept = [tensor for tensor in self.graph.initializer if tensor.name in used]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)

    def _check(self) -> None:
        if not self.body:
            raise NoSuchPrecision("f16 is not possible: the network has no weighted operation")
        unknown = sorted({node.op_type for node in self.body if node.op_type not in _PLAIN})
        if unknown:
            raise NoSuchPrecision(f"f16 is not possible: the network has {', '.join(unknown)}")

    def _in(self, name: str, kind: int, nodes: list[Any]) -> str:
        """The tensor `name` in another type; a weight is converted once and for all."""
        known = self.casts.get((name, kind))
        if known is not None:
            return known
        other = f"{name}__{'half' if kind == TensorProto.FLOAT16 else 'single'}"
        if name in self.weights:
            values = numpy_helper.to_array(self.weights[name])
            if values.size and not np.abs(values).max() <= _LARGEST:
                raise NoSuchPrecision("f16 is not possible: the network has weights beyond it")
            half = numpy_helper.from_array(values.astype(np.float16), other)
            self.graph.initializer.append(half)
        else:
            nodes.append(helper.make_node("Cast", [name], [other], name=other, to=kind))
        self.casts[name, kind] = other
        return other

    def _give_back(self, node: Any, name: str, nodes: list[Any]) -> None:
        """Let the network answer in f32 though its last operation computes in f16."""
        inner = f"{name}__inner"
        node.output[list(node.output).index(name)] = inner
        nodes.append(
            helper.make_node("Cast", [inner], [name], name=f"{name}__out", to=TensorProto.FLOAT)
        )


def _types(model: Any) -> dict[str, int]:
    """The element type of each tensor."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    types = {tensor.name: tensor.data_type for tensor in inferred.initializer}
    for info in (*inferred.value_info, *inferred.input, *inferred.output):
        types[info.name] = info.type.tensor_type.elem_type
    return types


def _widen_stored_halves(graph: Any, weights: dict[str, Any]) -> None:
    """Turn `weights stored in f16, cast to f32` into f32 weights: the same numbers, no cast."""
    kept = []
    for node in graph.node:
        stored = weights.get(node.input[0]) if node.op_type == "Cast" else None
        if stored is None or stored.data_type != TensorProto.FLOAT16:
            kept.append(node)
            continue
        values = numpy_helper.to_array(stored).astype(np.float32)
        wide = numpy_helper.from_array(values, node.output[0])
        graph.initializer.append(wide)
        weights[wide.name] = wide
    del graph.node[:]
    graph.node.extend(kept)


def _body(graph: Any) -> list[Any]:
    """The nodes from the first to the last weighted operation of every path between them."""
    nodes = list(graph.node)
    after = _reached(nodes, lambda node: node.input, lambda node: node.output)
    before = _reached(reversed(nodes), lambda node: node.output, lambda node: node.input)
    return [node for node in nodes if id(node) in after and id(node) in before]


def _reached(nodes: Iterable[Any], comes: Any, goes: Any) -> set[int]:
    """The nodes that a path leads to from a weighted one; both ends of it are among them."""
    tensors: set[str] = set()
    found: set[int] = set()
    for node in nodes:
        if node.op_type in _WEIGHTED or not tensors.isdisjoint(comes(node)):
            found.add(id(node))
            tensors.update(name for name in goes(node) if name)
    return found
