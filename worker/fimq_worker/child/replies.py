"""Replies as the parent reads them: checked, for the child has met hostile bytes.

Every number is checked for type and range, every text and list for length, every crop for its
exact size.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fimq.errors import (
    DecodeFailed,
    DecoderMemory,
    Encrypted,
    FinderMissing,
    NotAVideo,
    NoVideoStream,
    TooLong,
    TooManyPixels,
    Truncated,
    UnsupportedCodec,
)
from fimq.ledger.texts import storable
from fimq_worker.child.messages import BadMessage, Message
from fimq_worker.child.protocol import (
    LONGEST_TEXT,
    EndReply,
    FaceReply,
    Failure,
    PlanReply,
    Ready,
    Reply,
    SampleReply,
)
from fimq_worker.vision.container import Probe
from fimq_worker.vision.sampler.base import SamplingInvalid, Span

_MOST_FACES = 1000
#: What a child may say went wrong: it meets videos. A service that is away, a lost GPU or a
#: missing object are the worker's to see, and end more than a child's word may end. That it
#: has no finder it may say before it has met a video (see `client`).
_HONEST = {
    kind.code
    for kind in (
        *(NotAVideo, NoVideoStream, Truncated, UnsupportedCodec, Encrypted, TooManyPixels),
        *(TooLong, DecodeFailed, DecoderMemory, FinderMissing, SamplingInvalid),
    )
}
#: Why a face has no score.
_SKIPPED = {None, "too_small", "unusable"}
_COLOURS = 64


def reply_from_wire(message: Message, *, crop_size: int, max_faces: int) -> Reply:
    """Read and check a reply.

    Raises:
        BadMessage: it is not what an honest child sends.
    """
    try:
        return _reply(message, crop_size, max_faces)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BadMessage(f"{type(error).__name__}: {error}") from error


def _reply(message: Message, crop_size: int, max_faces: int) -> Reply:
    match message["kind"]:
        case "Ready":
            return Ready(tuple(_text(layer) for layer in _list(message["layers"], 16)))
        case "PlanReply":
            return _plan(message)
        case "SampleReply":
            return _sample(message, crop_size, max_faces)
        case "EndReply":
            return EndReply(
                planned=_count(message["planned"]),
                packets=_count(message["packets"]),
                packet_errors=_count(message["packet_errors"]),
                decoded=_count(message["decoded"]),
                fallback_reason=_text_or_none(message["fallback_reason"]),
            )
        case "Failure":
            return _failure(message)
    raise BadMessage(f"a message of kind {message['kind']!r}")


def _plan(message: Message) -> PlanReply:
    probe = dict(message["probe"])
    if set(probe) != set(Probe.__slots__):
        raise BadMessage("a probe with other fields")
    for name, value in probe.items():
        if name == "other_streams":
            probe[name] = [_text(text) for text in _list(value, 32)]
        elif isinstance(value, str):
            probe[name] = _text(value)
        else:
            _number(value)
    spans = _list(message["spans"], 100_000)
    return PlanReply(
        probe=probe,
        frames=_count(message["frames"]),
        expected_frames=_count(message["expected_frames"]),
        running_s=_number(message["running_s"]),
        sampling=_text(message["sampling"]),
        samples=_count(message["samples"]),
        spans=tuple(_span(span) for span in spans),
        fallback_reason=_text_or_none(message["fallback_reason"]),
    )


def _span(numbers: dict[str, Any]) -> Span:
    for value in numbers.values():
        if value is not None:
            _number(value)
    return Span.from_dict(numbers)


def _sample(message: Message, crop_size: int, max_faces: int) -> SampleReply:
    faces = _list(message["faces"], min(max_faces, _MOST_FACES))
    pts = message["pts"]
    return SampleReply(
        frame_index=_count(message["frame_index"]),
        pts=None if pts is None else _whole(pts),
        time_s=_number(message["time_s"]),
        time_estimated=message["time_estimated"] is True,
        damaged=message["damaged"] is True,
        width=_count(message["width"]),
        height=_count(message["height"]),
        colours=[_number(part) for part in _list(message["colours"], _COLOURS)],
        faces=tuple(_face(face, crop_size) for face in faces),
        faces_left_out=_count(message["faces_left_out"]),
    )


def _face(fields: Message, crop_size: int) -> FaceReply:
    x, y, width, height = (_number(side) for side in fields["box"])
    raw = fields["crop"]
    crop = None
    if raw is not None:
        crop = np.frombuffer(raw, np.uint8).reshape(crop_size, crop_size, 3)
    return FaceReply(
        box=(x, y, width, height),
        detector_score=_number(fields["detector_score"]),
        keypoints=tuple((_number(px), _number(py)) for px, py in _list(fields["keypoints"], 6)),
        quality=_number(fields["quality"]),
        crop=crop,
        skipped=_skipped(fields["skipped"]),
    )


def _skipped(value: Any) -> str | None:
    if value not in _SKIPPED:
        raise BadMessage(f"a face skipped for {value!r}")
    return None if value is None else str(value)


def _failure(message: Message) -> Failure:
    code = _text(message["code"])
    if code not in _HONEST:
        raise BadMessage(f"an error of code {code!r}")
    facts = {
        _text(name): _text(value) if isinstance(value, str) else _number(value)
        for name, value in message["facts"].items()
    }
    return Failure(code, _text(message["message"]), facts)


def _number(value: Any) -> Any:
    if not isinstance(value, int | float) or not math.isfinite(value) or abs(value) > 2**63:
        raise BadMessage(f"{value!r} is no number")
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise BadMessage(f"{value!r} is no whole number")
    return value


def _count(value: Any) -> int:
    if _whole(value) < 0 or isinstance(value, bool):
        raise BadMessage(f"{value!r} is no count")
    return int(value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise BadMessage("no text, or a long one")
    return storable(value)


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)


def _list(value: Any, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise BadMessage("no list, or a long one")
    return value
