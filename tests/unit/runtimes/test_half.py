"""Half precision: what is rewritten, what is not, and what cannot be."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from fimq.errors import ModelInvalid
from fimq.models.installed import BUILT_IN
from fimq.models.package import ModelPackage
from fimq_worker.runtimes import parity
from fimq_worker.runtimes.base import NoSuchPrecision
from fimq_worker.runtimes.tensorrt.half import halved
from tinymodel import make_network

#: What is before the first convolution and after the last matrix of the default model.
EDGES = {
    *("Cast", "Mul", "Sub", "Transpose"),
    *("Add", "Slice", "Squeeze", "Neg", "Sigmoid", "Unsqueeze", "Concat"),
}


@pytest.fixture(scope="module")
def package():
    return ModelPackage.open(BUILT_IN)


@pytest.fixture(scope="module")
def default(package):
    return onnx.load_from_string(halved(package.onnx))


def types(model):
    """The element type of each tensor, as ONNX itself infers it, strictly."""
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True).graph
    found = {tensor.name: tensor.data_type for tensor in inferred.initializer}
    for info in (*inferred.value_info, *inferred.input, *inferred.output):
        found[info.name] = info.type.tensor_type.elem_type
    return found


def run(network, crops):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"crops": crops})[0]


def network(*nodes, weights=None):
    """crops -> real (f32) -> nodes -> probabilities."""
    initializers = {"w": np.eye(3, 2, dtype=np.float32), "axes": np.array([1, 2])}
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["crops"], ["real"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["real", "axes"], ["mean"], keepdims=0),
            *nodes,
        ],
        "made",
        [helper.make_tensor_value_info("crops", TensorProto.UINT8, ["n", 16, 16, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 2])],
        [
            numpy_helper.from_array(value, name)
            for name, value in (initializers | (weights or {})).items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


class TestDefaultModel:
    def test_it_is_a_sound_network_with_the_same_edges(self, default, package):
        onnx.checker.check_model(default, full_check=True)
        before = onnx.load_from_string(package.onnx).graph
        assert default.graph.input == before.input
        assert default.graph.output == before.output

    def test_all_that_weighs_is_half(self, default):
        kinds = types(default)
        weighing = [n for n in default.graph.node if n.op_type in {"Conv", "MatMul"}]
        assert len(weighing) == 49 + 33
        for node in weighing:
            assert {kinds[name] for name in (*node.input, *node.output)} == {TensorProto.FLOAT16}

    def test_preprocessing_and_the_last_sigmoids_are_not(self, default):
        kinds = types(default)
        single = [n for n in default.graph.node if kinds[n.output[0]] == TensorProto.FLOAT]
        assert {node.op_type for node in single} == EDGES
        assert len(single) < 20
        assert sum(node.op_type == "Sigmoid" for node in single) == 2

    def test_its_scores_pass_the_gate(self, default, package):
        scores = run(default.SerializeToString(), package.golden.crops)
        difference = np.abs(scores - package.golden.scores).max()
        assert 1e-6 < difference < parity.MOST_DIFFERENCE

    def test_it_is_not_larger_than_the_stored_one(self, default, package):
        assert default.ByteSize() < 1.05 * len(package.onnx)


class TestOtherNetworks:
    @pytest.mark.parametrize("last", ["Softmax", "Sigmoid"])
    def test_a_network_of_one_matrix(self, last):
        plain = make_network(2, last=last)
        crops = np.random.default_rng(1).integers(0, 256, (4, 16, 16, 3)).astype(np.uint8)
        assert np.allclose(run(halved(plain), crops), run(plain, crops), atol=5e-3)

    def test_one_that_ends_in_a_weighted_operation_answers_in_single(self):
        plain = network(helper.make_node("MatMul", ["mean", "w"], ["probabilities"]))
        crops = np.full((2, 16, 16, 3), 7, np.uint8)
        answer = run(halved(plain), crops)
        assert answer.dtype == np.float32
        assert np.allclose(answer, run(plain, crops))

    def test_one_tensor_for_both_sides_is_cast_once_for_each(self):
        plain = network(
            helper.make_node("MatMul", ["mean", "w"], ["a"]),
            helper.make_node("MatMul", ["mean", "w"], ["b"]),
            helper.make_node("Add", ["a", "b"], ["sum"]),
            helper.make_node("Softmax", ["sum"], ["probabilities"]),
        )
        rewritten = onnx.load_from_string(halved(plain))
        halves = [
            n
            for n in rewritten.graph.node
            if n.op_type == "Cast" and n.attribute[0].i == TensorProto.FLOAT16
        ]
        assert len(halves) == 1
        assert types(rewritten)["sum"] == TensorProto.FLOAT

    def test_an_operation_that_is_not_known_is_named(self):
        plain = network(
            helper.make_node("MatMul", ["mean", "w"], ["a"]),
            helper.make_node("Cos", ["a"], ["b"]),
            helper.make_node("MatMul", ["b", "v"], ["probabilities"]),
            weights={"v": np.eye(2, dtype=np.float32)},
        )
        with pytest.raises(NoSuchPrecision, match="the network has Cos"):
            halved(plain)

    @pytest.mark.parametrize("value", [7e4, -7e4, np.inf, np.nan])
    def test_weights_beyond_half_are_refused(self, value):
        with pytest.raises(NoSuchPrecision, match="weights beyond"):
            halved(make_network(2, matrix=np.full((3, 2), value, np.float32)))

    def test_a_network_without_weights_is_refused(self):
        plain = network(
            helper.make_node("Slice", ["mean", "from", "to", "axis"], ["probabilities"]),
            weights={"from": np.array([0]), "to": np.array([2]), "axis": np.array([1])},
        )
        with pytest.raises(NoSuchPrecision, match="no weighted operation"):
            halved(plain)

    def test_what_is_no_network_is_said_to_be_none(self):
        with pytest.raises(ModelInvalid):
            halved(b"not a network")
