"""What is expected of a file: its row in the table, what was found of it, and checks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import portraits
from fimq.ledger.tables import Face, Job, Sample, Track, VerdictRow

#: Outcomes of a face that the model takes for a real one.
CLEAR = ("no_manipulation_found", None)
FEW = ("uncertain", "too_few_faces")
CUT = ("uncertain", "low_coverage")
FORGED = ("manipulated", None)
NO_FACE = ("not_applicable", "no_face")
TOO_SMALL = ("not_applicable", "faces_too_small")
UNUSABLE = ("not_applicable", "faces_unusable")


@dataclass
class Found:
    """One file's end, from everywhere."""

    document: dict[str, Any]
    samples: list[Sample] = field(default_factory=list)
    faces: list[Face] = field(default_factory=list)
    tracks: list[Track] = field(default_factory=list)
    verdict: VerdictRow | None = None
    job: Job | None = None
    reports: list[dict[str, Any]] = field(default_factory=list)

    @property
    def frames(self) -> list[int]:
        return [sample.frame_index for sample in self.samples]

    @property
    def times(self) -> list[float]:
        return [sample.time_s for sample in self.samples]

    def is_where(self, x: float, y: float, width: float, height: float) -> bool:
        """Whether the first face of every sample is about here."""
        return bool(self.faces) and all(
            math.hypot(
                face.box[0] + face.box[2] / 2 - (x + width / 2) - 2,
                face.box[1] + face.box[3] / 2 - (y + height / 2),
            )
            < width / 4
            and 0.7 < face.box[2] / width < 1.4
            for face in self.faces
            if face.ordinal == 0
        )


Check = Callable[[Found], bool]


@dataclass(frozen=True)
class Row:
    """A file, how it is made, and its one expected end: a code, or one of these outcomes."""

    name: str
    make: Callable[[Path], Any]
    ends: str | tuple[str, str | None] | Sequence[tuple[str, str | None]] = CLEAR
    check: Check | None = None
    model: str | None = None
    broken: str | None = None  #: why the row does not hold yet

    @property
    def outcomes(self) -> Sequence[tuple[str, str | None]]:
        return [self.ends] if isinstance(self.ends[0], str) else self.ends


def at_face(found: Found) -> bool:
    return found.is_where(*portraits.FACE)


def samples(*frames: int) -> Check:
    return lambda found: found.frames == list(frames)


def count(number: int) -> Check:
    return lambda found: len(found.samples) == number


def is_damaged(found: Found) -> bool:
    bad = {sample.frame_index for sample in found.samples if sample.state == "damaged"}
    return bool(bad) and not any(face.frame_index in bad for face in found.faces)


def is_cut(found: Found) -> bool:
    return found.document["coverage"] < 0.95 and len(found.samples) > 0


def is_less(found: Found) -> bool:
    """Damaged pictures are marked, or are not there; neither is scored."""
    return found.document["coverage"] < 0.95


def estimated(found: Found) -> bool:
    return any(sample.quality["time_estimated"] for sample in found.samples)


def others(number: int) -> Check:
    """The video that was judged is the speaker's; so many other streams are named."""
    return lambda found: at_face(found) and len(found.document["video"]["other_streams"]) == number
