"""Analysis of a span: sample -> picture -> find -> crop -> quality.

What comes out are numbers and small crops; no frame outlives its turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fimq_worker.vision.box import Box
from fimq_worker.vision.container import Container
from fimq_worker.vision.crops import CropRule, EmptyBox, crop_face
from fimq_worker.vision.faces.base import FaceFinder, FoundFace, Keypoints
from fimq_worker.vision.orientation import upright
from fimq_worker.vision.picture import Picture
from fimq_worker.vision.quality import LEAST_USABLE, face_quality
from fimq_worker.vision.sampler.base import SampledFrame, Sampler, Sampling, Span
from fimq_worker.vision.shots import colours


@dataclass(frozen=True, slots=True)
class AnalysisOptions:
    """What is looked for, and how it is handed over."""

    sampling: Sampling = field(default_factory=Sampling)
    crop: CropRule = field(default_factory=CropRule)
    max_faces: int = 20  #: of a sample, the largest first; the others are only counted
    min_face: float = 48  #: pixels of the displayed picture; smaller faces get no crop


@dataclass(frozen=True, slots=True)
class AnalysedFace:
    """A face, with its crop unless it was skipped."""

    box: Box
    detector_score: float
    keypoints: Keypoints
    quality: float  #: 0 where it was not rated
    crop: NDArray[np.uint8] | None
    skipped: str | None  #: `too_small` or `unusable`


@dataclass(frozen=True, slots=True)
class AnalysedSample:
    """A sampled picture and its faces, in displayed coordinates."""

    frame_index: int
    pts: int | None
    time_s: float
    time_estimated: bool
    damaged: bool  #: then nothing was looked for in it
    width: int
    height: int
    colours: NDArray[np.float32]  #: by which shot changes are told
    faces: Sequence[AnalysedFace]
    faces_left_out: int  #: found, but more than were asked for


def analyse_span(
    container: Container,
    span: Span | None,
    finder: FaceFinder,
    options: AnalysisOptions,
    sampler: Sampler,
) -> Iterator[AnalysedSample]:
    """Yield the samples of a span in presentation order. `sampler` counts what it met."""
    for sampled in sampler.sample(container, options.sampling, span):
        picture = upright(sampled.frame, container.sample_aspect)
        # Each picture is searched by itself: what is found must not depend on where a span
        # begins (docs/decisions/0007).
        faces = [] if sampled.damaged else finder.find(picture)
        yield _analysed(sampled, picture, colours(picture), faces, options)


def _analysed(
    sampled: SampledFrame,
    picture: Picture,
    mix: NDArray[np.float32],
    faces: Sequence[FoundFace],
    options: AnalysisOptions,
) -> AnalysedSample:
    kept = faces[: options.max_faces]
    return AnalysedSample(
        frame_index=sampled.frame_index,
        pts=sampled.pts,
        time_s=sampled.time_s,
        time_estimated=sampled.time_estimated,
        damaged=sampled.damaged,
        width=picture.width,
        height=picture.height,
        colours=mix,
        faces=[_cropped(face, picture, options) for face in kept],
        faces_left_out=len(faces) - len(kept),
    )


def _cropped(face: FoundFace, picture: Picture, options: AnalysisOptions) -> AnalysedFace:
    crop: NDArray[np.uint8] | None = None
    quality, skipped = 0.0, "too_small"
    if face.box.longer_side >= options.min_face:
        try:
            crop = crop_face(picture, face.box, options.crop)
        except EmptyBox:
            skipped = "unusable"
        else:
            quality = face_quality(face, crop, picture.width, picture.height)
            skipped = "unusable" if quality < LEAST_USABLE else ""
    return AnalysedFace(
        box=face.box,
        detector_score=face.score,
        keypoints=face.keypoints,
        quality=quality,
        crop=None if skipped else crop,
        skipped=skipped or None,
    )
