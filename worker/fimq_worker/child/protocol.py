"""What parent and child say to each other, and how each says it on the wire.

How the parent reads a reply, which it does not trust, is a room of its own: `replies`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fimq.errors import FimqError
from fimq_worker.child.messages import Message
from fimq_worker.vision.analysis import AnalysedFace, AnalysedSample
from fimq_worker.vision.container import Probe
from fimq_worker.vision.sampler.base import Counters, Span
from fimq_worker.vision.sampler.spans import FilmPlan

LONGEST_TEXT = 2000  #: characters of a text in a reply


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


# --- replies: the child writes


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
            "other_streams": [text[:LONGEST_TEXT] for text in probe.other_streams[:32]],
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
        name: value if isinstance(value, int | float) else str(value)[:LONGEST_TEXT]
        for name, value in error.facts.items()
    }
    return {"kind": "Failure", "code": error.code, "message": _cut(str(error)), "facts": facts}


def _cut(text: str | None) -> str | None:
    return text if text is None else text[:LONGEST_TEXT]
