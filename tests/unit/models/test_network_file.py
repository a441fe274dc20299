"""A network that keeps tensors elsewhere is refused, wherever in the file it says so."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from fimq.errors import ModelInvalid
from fimq.models.network_file import check_whole
from tinymodel import make_network


def outside(name: str = "w") -> TensorProto:
    """A tensor whose numbers lie in a file that the model names."""
    tensor = onnx.numpy_helper.from_array(np.zeros(4, np.float32), name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return tensor


def sparse() -> onnx.SparseTensorProto:
    indices = onnx.numpy_helper.from_array(np.zeros(4, np.int64))
    return helper.make_sparse_tensor(outside(), indices, [8])


def graph(*nodes, initializer=(), sparse_initializer=()) -> onnx.GraphProto:
    return helper.make_graph(
        nodes, "g", [], [], list(initializer), sparse_initializer=list(sparse_initializer)
    )


def node(**attributes) -> onnx.NodeProto:
    return helper.make_node("Any", [], ["y"], **attributes)


def model(*nodes, **parts) -> onnx.ModelProto:
    return helper.make_model(graph(*nodes, **parts))


def trained() -> onnx.ModelProto:
    made = model()
    made.training_info.add().algorithm.CopyFrom(graph(initializer=[outside()]))
    return made


def with_function() -> onnx.ModelProto:
    made = model()
    made.functions.append(helper.make_function("d", "f", [], ["y"], [node(value=outside())], []))
    return made


def named_only() -> onnx.ModelProto:
    """It says where, and not that it is there."""
    tensor = outside()
    tensor.ClearField("data_location")
    return model(initializer=[tensor])


def within(field: int, content: bytes) -> bytes:
    """A message that holds this one."""
    size, head = len(content), bytes([field << 3 | 2])
    return head + bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14]) + content


PLACES = {
    "initializer": model(initializer=[outside()]),
    "a sparse initializer": model(sparse_initializer=[sparse()]),
    "a constant": model(node(value=outside())),
    "a list of constants": model(node(values=[outside(), outside()])),
    "a sparse constant": model(node(value=sparse())),
    "a branch": model(node(then=graph(initializer=[outside()]))),
    "a branch of a branch": model(node(then=graph(node(then=graph(node(value=outside())))))),
    "one of many branches": model(node(branches=[graph(), graph(initializer=[outside()])])),
    "a function": with_function(),
    "its training": trained(),
    "a name alone": named_only(),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_tensor_elsewhere_is_found(place: str) -> None:
    with pytest.raises(ModelInvalid, match="in other files"):
        check_whole(PLACES[place].SerializeToString())


def test_a_whole_network_passes() -> None:
    check_whole(make_network(7))


@pytest.mark.parametrize("content", [b"", b"the network", b"\x3a\x7f", b"\x3a", b"\x0b\x0c"])
def test_what_is_no_network_is_refused(content: bytes) -> None:
    with pytest.raises(ModelInvalid):
        check_whole(content)


def test_a_cut_network_is_refused() -> None:
    with pytest.raises(ModelInvalid):
        check_whole(make_network(2)[:-30])


def test_nobody_nests_without_end() -> None:
    deep = b""
    for _ in range(80):
        # A graph, in an attribute, of a node, of a graph.
        deep = within(1, within(5, within(6, deep)))
    with pytest.raises(ModelInvalid, match="nested"):
        check_whole(within(7, deep))


@given(st.binary(max_size=200))
def test_any_bytes_end_in_an_answer(content: bytes) -> None:
    with suppress(ModelInvalid):
        check_whole(content)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_changed_byte_ends_in_an_answer(place: int, value: int) -> None:
    content = bytearray(make_network(2))
    content[place % len(content)] = value
    with suppress(ModelInvalid):
        check_whole(bytes(content))
