"""Cutting: the faces of one video as PNG crops, sample by sample, decoded in the sandboxed child.

`fimq train prepare` cuts here with children of its own, and a worker for a cutting job, so
that crops do not tell where they were cut. To the child a still is a film of one frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fimq.cuts import Cut
from fimq_worker.child.client import DecodeChild
from fimq_worker.child.protocol import AnalyseRequest, PlanReply, PlanRequest, SampleReply
from fimq_worker.vision.sampler.base import Sampling


@dataclass(frozen=True, slots=True)
class CutFace:
    """One face that became a crop."""

    ordinal: int  #: of the face in its sample; the largest has 0
    box: tuple[float, float, float, float]  #: x, y, width, height in the displayed picture
    detector_score: float
    png: bytes


@dataclass(frozen=True, slots=True)
class CutSample:
    """One sampled frame and the crops of its faces."""

    frame: int
    pts: int | None
    time_s: float
    faces: tuple[CutFace, ...]


@dataclass(frozen=True, slots=True)
class Cuts:
    """The crops of one video."""

    codec: str
    still: bool
    samples: Iterable[CutSample]  #: to be gone through once


def planned(child: DecodeChild, fd: int, *, segment_s: float) -> PlanReply:
    """What a video is, and the spans to ask for: each has its own patience."""
    return child.plan(fd, PlanRequest(min_samples=1, segment_s=segment_s))


def cut_faces(child: DecodeChild, fd: int, plan: PlanReply, cut: Cut) -> Cuts:
    """Cut the faces of a planned video.

    Raises:
        FimqError, Cancelled: while the samples are gone through, as `DecodeChild.analyse`.
    """
    return Cuts(
        codec=str(plan.probe["codec"]),
        still=bool(plan.probe["still"]),
        samples=_samples(child, fd, plan, cut),
    )


def _samples(child: DecodeChild, fd: int, plan: PlanReply, cut: Cut) -> Iterator[CutSample]:
    sampling = str(Sampling("every", cut.stride(plan.frames)))
    for span in plan.spans:
        request = AnalyseRequest(span, sampling, crop_scale=cut.scale, crop_size=cut.size)
        for sample in child.analyse(fd, request):
            yield CutSample(
                sample.frame_index, sample.pts, sample.time_s, tuple(_faces(sample, cut))
            )


def _faces(sample: SampleReply, cut: Cut) -> Iterator[CutFace]:
    # The largest comes first.
    for ordinal, face in enumerate(sample.faces[:1] if cut.largest else sample.faces):
        if face.crop is not None:
            yield CutFace(ordinal, face.box, face.detector_score, _png(face.crop))


def _png(crop: NDArray[np.uint8]) -> bytes:
    return bytes(cv2.imencode(".png", crop[:, :, ::-1])[1].tobytes())
