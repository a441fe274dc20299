"""What an evaluation of whole videos finds: the objects that its report is made of.

They are the document of `fimq evaluate --json`; what could not be measured is None.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from fimq_training.evaluation.bootstrap import Interval
from fimq_training.evaluation.served import Service

Way = Literal["scored", "all"]  #: whether videos without a score are left out, or not called


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value with its 95 % interval; None where it could not be measured."""

    value: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, found: Interval) -> Figure:
        """Without NaN, which JSON does not have."""
        return cls(finite(found.value), finite(found.low), finite(found.high))

    def __str__(self) -> str:
        if self.value is None:
            return "-"
        if self.low is None or self.high is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True, slots=True)
class Said:
    """How many videos of one label were told one thing."""

    label: str  #: `real`, `manipulated`, or a method
    said: str  #: outcome, with its reason or code
    videos: int
    share: Figure  #: of the videos of that label, by Wilson


@dataclass(frozen=True, slots=True)
class Precision:
    """The share of right calls to expect where `prevalence` of the videos is manipulated."""

    prevalence: float
    value: float | None
    least: float | None  #: with the fewest hits and the most false alarms of their intervals


@dataclass(frozen=True, slots=True)
class Operating:
    """A rule that calls videos manipulated, and how it does."""

    rule: str
    way: Way  #: how videos without a score count
    threshold: float | None  #: None of the outcome, which is more than a threshold
    wanted: float | None  #: false positive rate on validation; None of what is served
    found: Figure  #: of manipulated videos
    accused: Figure  #: of real ones
    precision: tuple[Precision, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the videos: of one method, compression or real source."""

    by: str
    name: str
    real: int
    manipulated: int
    scored: Figure
    auc: Figure  #: of a method against all real videos; of a compression within it
    found: Figure  #: of its manipulated videos with a score, at the served high precision
    found_of_all: Figure
    accused: Figure  #: of its real videos with a score, likewise
    accused_of_all: Figure


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of the planned samples was decoded undamaged, of the videos that were judged."""

    videos: int
    mean: float | None
    lowest: float | None
    low: int  #: videos under 95 %, which no policy clears


@dataclass(frozen=True, slots=True)
class Ranking:
    """How well scores tell manipulated videos from real ones, of the videos that have one."""

    auc: Figure
    average_precision: Figure
    equal_error: Figure
    log_loss: Figure  #: in nats
    brier: Figure
    calibration_error: Figure


@dataclass(frozen=True, slots=True)
class VideoMeasures:
    """Everything measured of labelled videos."""

    service: Service | None
    samplings: dict[str, int]  #: as they were fitted to each video's length
    real: int
    manipulated: int
    real_scored: Figure  #: share that has a score
    manipulated_scored: Figure
    units: int  #: people, and videos of nobody known
    unknown: int  #: videos of nobody known, each its own unit
    ranking: Ranking
    outcomes: tuple[Said, ...]
    served: tuple[Operating, ...]
    points: tuple[Operating, ...]
    validation: int  #: real videos with a score that thresholds were chosen on
    no_points: str | None  #: why there are no points
    parts: tuple[Part, ...]
    coverage: Coverage


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What `--partial` left out."""

    labels_without_video: int
    videos_without_label: int


@dataclass(frozen=True, slots=True)
class VideoReport:
    """Everything that an evaluation of whole videos found."""

    videos: str  #: where they, or their documents, are
    labels_sha256: str
    chosen_on: str | None  #: where validation videos are from
    left_out: LeftOut
    measures: VideoMeasures
    pictures: tuple[str, ...]  #: file names beside the report


def finite(value: float) -> float | None:
    """A value, or None of what is no number."""
    return value if math.isfinite(value) else None
