"""The network's file: an ONNX model that holds all of itself.

ONNX lets a tensor lie in another file, named by a path in the model. Such a path would be
read by whoever loads the model, wherever it leads, and what is read is bound by no hash. So
the file is walked, without being loaded, and one that points outside is refused.

Only the fields that lead to tensors are followed; numbers are those of ONNX's own
`onnx.proto`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from fimq.errors import ModelInvalid

#: By message: the fields that hold other messages on the way to a tensor.
_LEADS: Final[Mapping[str, Mapping[int, str]]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_VARINT, _EIGHT, _LENGTH, _FOUR = 0, 1, 2, 5
_DEEPEST: Final = 64  #: graphs lie in attributes of nodes; nobody nests them so deep


def check_whole(content: bytes) -> None:
    """Walk a model to its last tensor.

    Raises:
        ModelInvalid: it is no ONNX file, or keeps some of its tensors elsewhere.
    """
    if not content:
        raise ModelInvalid("The model's network is empty")
    _walk(memoryview(content), "model", 0)


def _walk(message: memoryview, kind: str, depth: int) -> None:
    if depth > _DEEPEST:
        raise ModelInvalid("The model's network is nested too deeply")
    leads = _LEADS[kind]
    for field, wire, value, part in _fields(message):
        if kind == "tensor" and (
            field == _EXTERNAL_DATA or (field == _DATA_LOCATION and value != 0)
        ):
            raise ModelInvalid("The model's network keeps tensors in other files")
        if field in leads:
            if wire != _LENGTH:
                raise ModelInvalid("The model's network is no ONNX file")
            _walk(part, leads[field], depth + 1)


def _fields(message: memoryview) -> Iterator[tuple[int, int, int, memoryview]]:
    """Each field of a message: its number, wire type, value if it is a number, and bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        field, wire = key >> 3, key & 7
        value, size = 0, 0
        if wire == _VARINT:
            value, at = _varint(message, at)
        elif wire == _LENGTH:
            size, at = _varint(message, at)
        elif wire in {_EIGHT, _FOUR}:
            size = 8 if wire == _EIGHT else 4
        else:
            raise ModelInvalid("The model's network is no ONNX file")
        if field == 0 or at + size > len(message):
            raise ModelInvalid("The model's network is no ONNX file")
        yield field, wire, value, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for place in range(10):
        if at + place >= len(message):
            break
        byte = message[at + place]
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at + place + 1
    raise ModelInvalid("The model's network is no ONNX file")
