"""What parent and child say to each other, and both directions of it on the wire.

The parent does not trust the child, which has met hostile bytes: every number is checked
for type and range, every text and list for length, every crop for its exact size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fimq.errors import (
    DecodeFailed,
    DecoderMemory,
    Encrypted,
    FimqError,
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
from fimq_worker.vision.analysis import AnalysedFace, AnalysedSample
from fimq_worker.vision.container import Probe
from fimq_worker.vision.sampler.base import Counters, SamplingInvalid, Span
from fimq_worker.vision.sampler.spans import FilmPlan

_MOST_FACES = 1000
_LONGEST_TEXT = 2000
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


# --- requests: the parent writes, the child reads


@dataclass(frozen=True, slots=True)
class Setup:
    """What a child keeps for its life."""

    face_model: str  #: path of the full-range model, verified; read before confinement
    memory: int = 2 * 2**30
    max_pixels: int = 8192 * 4608
    max_duration_s: float = 12 * 3600
    max_faces: int = 20
    min_face: float = 48
    finder: str = "full-range"  #: or mediapipe
    chaos: str = ""  #: tests only: crash, hang, lie or allocate at the next request


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """Probe a video and cut it into spans."""

    sampling: str = "every:25"
    min_samples: int = 16
    segment_s: float = 60


@dataclass(frozen=True, slots=True)
class AnalyseRequest:
    """Sample a span, find faces, cut crops."""

    span: Span | None = None
    sampling: str = "every:25"  #: as it is; the plan has fitted it
    crop_scale: float = 1.3
    crop_size: int = 128


Request = Setup | PlanRequest | AnalyseRequest


def request_to_wire(request: Request, *, cpu_s: float = 0) -> Message:
    """A request as a message, with the CPU time that the child may use for it."""
    fields: Message = {name: getattr(request, name) for name in request.__slots__}
    if isinstance(request, AnalyseRequest) and request.span is not None:
        fields["span"] = request.span.to_dict()
    return {"kind": type(request).__name__, "cpu_s": cpu_s, **fields}


def request_from_wire(message: Message) -> tuple[Request, float]:
    """What `request_to_wire` wrote."""
    fields = dict(message)
    kind, cpu_s = fields.pop("kind"), fields.pop("cpu_s")
    if kind == "AnalyseRequest" and fields["span"] is not None:
        fields["span"] = Span.from_dict(fields["span"])
    kinds: dict[str, type[Request]] = {
        known.__name__: known for known in (Setup, PlanRequest, AnalyseRequest)
    }
    return kinds[kind](**fields), cpu_s


# --- replies: the child writes, the parent reads and checks


@dataclass(frozen=True, slots=True)
class Ready:
    """The child is set up; `layers` of the sandbox are active."""

    layers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlanReply:
    """A film's facts and the spans to sample it in."""

    probe: dict[str, Any]  #: `Probe` as plain values
    frames: int
    expected_frames: int
    running_s: float
    sampling: str
    samples: int
    spans: tuple[Span, ...]
    fallback_reason: str | None


@dataclass(frozen=True, slots=True)
class FaceReply:
    """A face, with its crop unless it was skipped."""

    box: tuple[float, float, float, float]  #: x, y, width, height
    detector_score: float
    keypoints: tuple[tuple[float, float], ...]
    quality: float
    crop: NDArray[np.uint8] | None
    skipped: str | None


@dataclass(frozen=True, slots=True)
class SampleReply:
    """One sample."""

    frame_index: int
    pts: int | None
    time_s: float
    time_estimated: bool
    damaged: bool
    width: int
    height: int
    colours: list[float]
    faces: tuple[FaceReply, ...]
    faces_left_out: int

    @property
    def faces_found(self) -> int:
        """All faces of the sample."""
        return len(self.faces) + self.faces_left_out


@dataclass(frozen=True, slots=True)
class EndReply:
    """The span is done; what the sampler met."""

    planned: int
    packets: int
    packet_errors: int
    decoded: int
    fallback_reason: str | None


@dataclass(frozen=True, slots=True)
class Failure:
    """The request failed with an error that has a name."""

    code: str
    message: str
    facts: dict[str, int | float | str]

    def error(self) -> FimqError:
        """The error as the parent raises it."""
        return FimqError.registry[self.code](self.message, **self.facts)


Reply = Ready | PlanReply | SampleReply | EndReply | Failure


def ready_to_wire(layers: Sequence[str]) -> Message:
    """The child's first word."""
    return {"kind": "Ready", "layers": list(layers)}


def plan_to_wire(probe: Probe, plan: FilmPlan) -> Message:
    """A film's facts as a message."""
    return {
        "kind": "PlanReply",
        "probe": {
            **{name: getattr(probe, name) for name in Probe.__slots__},
            "sample_aspect": str(probe.sample_aspect),
            "other_streams": [text[:_LONGEST_TEXT] for text in probe.other_streams[:32]],
        },
        "frames": plan.frames,
        "expected_frames": plan.expected_frames,
        "running_s": plan.running_s,
        "sampling": str(plan.sampling),
        "samples": plan.samples,
        "spans": [span.to_dict() for span in plan.spans],
        "fallback_reason": _cut(plan.fallback_reason),
    }


def sample_to_wire(sample: AnalysedSample) -> Message:
    """A sample as a message; crops as raw bytes."""
    return {
        "kind": "SampleReply",
        "frame_index": sample.frame_index,
        "pts": sample.pts,
        "time_s": sample.time_s,
        "time_estimated": sample.time_estimated,
        "damaged": sample.damaged,
        "width": sample.width,
        "height": sample.height,
        "colours": [round(float(part), 4) for part in sample.colours],
        "faces": [_face_to_wire(face) for face in sample.faces],
        "faces_left_out": sample.faces_left_out,
    }


def _face_to_wire(face: AnalysedFace) -> Message:
    box = face.box
    return {
        "box": [float(box.x), float(box.y), float(box.width), float(box.height)],
        "detector_score": float(face.detector_score),
        "keypoints": [[float(x), float(y)] for x, y in face.keypoints],
        "quality": float(face.quality),
        "crop": face.crop.tobytes() if face.crop is not None else None,
        "skipped": face.skipped,
    }


def end_to_wire(counters: Counters) -> Message:
    """The end of a span as a message."""
    return {
        "kind": "EndReply",
        "planned": counters.planned,
        "packets": counters.packets,
        "packet_errors": counters.packet_errors,
        "decoded": counters.decoded,
        "fallback_reason": _cut(counters.fallback_reason),
    }


def failure_to_wire(error: FimqError) -> Message:
    """A failure as a message."""
    facts = {
        name: value if isinstance(value, int | float) else str(value)[:_LONGEST_TEXT]
        for name, value in error.facts.items()
    }
    return {"kind": "Failure", "code": error.code, "message": _cut(str(error)), "facts": facts}


def _cut(text: str | None) -> str | None:
    return text if text is None else text[:_LONGEST_TEXT]


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
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise BadMessage("no text, or a long one")
    return storable(value)


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)


def _list(value: Any, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise BadMessage("no list, or a long one")
    return value
