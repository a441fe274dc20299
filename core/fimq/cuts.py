"""Cuts: how the faces of a video become crops, as it is asked of a worker, and what came of it.

A job with a cut judges nothing. Its one step leaves a bundle of crops in the store, which
whoever asked collects; docs/decisions/0016 says why.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

#: The lane of jobs that cut crops.
LANE = "training"


@dataclass(frozen=True, slots=True)
class Cut:
    """All that decides what the crops of a video are: with another cut they are others."""

    every: int = 25  #: frames from one sample to the next
    frames: int | None = None  #: instead: at most so many of a video, evenly spread
    size: int = 128  #: side of a crop in pixels
    scale: float = 1.3  #: side of the square that is cut over the longer side of the box
    largest: bool = False  #: only the largest face of a frame
    min_face: int = 48  #: smallest face that is cut, in pixels
    max_faces: int = 20  #: faces of a frame, the largest first
    face_finder: str = "full-range"

    def stride(self, frames: int) -> int:
        """Frames from one sample to the next in a video with so many."""
        return self.every if self.frames is None else max(1, -(-frames // self.frames))

    @property
    def faces(self) -> dict[str, Any]:
        """What a worker's own settings have to agree with: its children are set up once."""
        return {name: getattr(self, name) for name in ("min_face", "max_faces", "face_finder")}

    @property
    def sampling(self) -> str:
        """In one word, as jobs that judge have it."""
        return f"every:{self.every}" if self.frames is None else f"frames:{self.frames}"

    @property
    def options(self) -> dict[str, Any]:
        """As a job keeps it."""
        return asdict(self)

    @classmethod
    def from_options(cls, options: dict[str, Any]) -> Self:
        """What `options` wrote."""
        return cls(**options)


@dataclass(frozen=True, slots=True)
class CutReport:
    """What came of a cut; kept with its step."""

    key: str  #: of the bundle in the store
    sha256: str
    bytes: int
    samples: int  #: frames that were looked at
    crops: int
    codec: str
    still: bool
    fimq: str  #: version that cut

    @property
    def document(self) -> dict[str, Any]:
        """As the ledger keeps it."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        """What `document` wrote."""
        return cls(**document)
