"""Judgement: from the rows of a job to its tracks and verdict, inside one transaction.

Runs on rows as they lie in the ledger, so that a verdict can be computed again from the
scores that were stored, whether a video was analysed in one piece or in many.
"""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

import fimq
from fimq.errors import DecodeFailed, Truncated
from fimq.ledger.claims import Claim
from fimq.ledger.tables import Face, Sample, Step
from fimq.models.manifest import Manifest
from fimq.policy.pooling import Evidence
from fimq.policy.rules import Policy, Thresholds
from fimq.policy.verdict import Counts, ScoredTrack, Verdict, judge
from fimq_worker.vision.box import Box
from fimq_worker.vision.shots import is_cut
from fimq_worker.vision.tracks import SampleFaces, assign_tracks

#: Packages whose version can move a score or a sample.
_VERSIONED = ("av", "numpy", "opencv-python-headless", "openvino")


@dataclass(frozen=True, slots=True)
class Judgement:
    """Judges a job; called by the ledger in the transaction that ends it."""

    claim: Claim
    manifest: Manifest
    package_sha256: str
    policy: Policy
    runtime: dict[str, Any]
    planned: int

    def __call__(
        self, session: Session, job_id: str
    ) -> tuple[dict[str, Any], list[dict[str, Any]], dict[tuple[int, int], int]]:
        """The verdict's columns, the tracks' rows, and each face's track.

        Raises:
            Truncated, DecodeFailed: not one picture was decoded.
        """
        samples = session.scalars(
            select(Sample).where(Sample.job_id == job_id).order_by(Sample.frame_index)
        ).all()
        faces = session.scalars(
            select(Face).where(Face.job_id == job_id).order_by(Face.frame_index, Face.ordinal)
        ).all()
        reports = session.scalars(
            select(Step.report).where(Step.job_id == job_id, Step.report.is_not(None))
        ).all()
        if not samples:
            errors = sum(int((report or {}).get("packet_errors", 0)) for report in reports)
            raise DecodeFailed if errors else Truncated

        assigned = self._assign(samples, faces)
        by_frame = {sample.frame_index: sample for sample in samples}
        tracks = _evidence(faces, assigned, by_frame)
        counts = self._counts(samples, faces)
        thresholds = Thresholds(
            self.manifest.thresholds.high_precision, self.manifest.thresholds.high_recall
        )
        verdict = judge(counts, tracks, thresholds, fitted(self.policy, self.manifest))
        columns = self._columns(verdict, counts, faces, assigned, reports)
        return columns, _track_rows(faces, assigned, by_frame, verdict), assigned

    def _assign(self, samples: Any, faces: Any) -> dict[tuple[int, int], int]:
        boxes: dict[int, list[tuple[int, Box]]] = {sample.frame_index: [] for sample in samples}
        for face in faces:
            boxes[face.frame_index].append((face.ordinal, Box(*face.box)))
        colours = [np.array(sample.quality["colours"], np.float32) for sample in samples]
        ordered = [
            SampleFaces(
                boxes=tuple(box for _, box in boxes[sample.frame_index]),
                cut=position > 0 and is_cut(colours[position - 1], colours[position]),
            )
            for position, sample in enumerate(samples)
        ]
        result: dict[tuple[int, int], int] = {}
        for sample, ordinals in zip(samples, assign_tracks(ordered), strict=True):
            for (ordinal, _), track in zip(boxes[sample.frame_index], ordinals, strict=True):
                result[sample.frame_index, ordinal] = track
        return result

    def _counts(self, samples: Any, faces: Any) -> Counts:
        skipped = [face.skipped for face in faces if face.score is None]
        sound = [sample for sample in samples if sample.state == "ok"]
        extra = sum(int(sample.quality.get("faces_left_out", 0)) for sample in samples)
        return Counts(
            samples_planned=max(self.planned, len(samples)),
            samples_decoded=len(sound),
            samples_with_faces=len({face.frame_index for face in faces}),
            faces_found=len(faces) + extra,
            faces_scored=len(faces) - len(skipped),
            faces_too_small=skipped.count("too_small"),
            faces_unusable=sum(reason != "too_small" for reason in skipped),
        )

    def _columns(
        self, verdict: Verdict, counts: Counts, faces: Any, assigned: Any, reports: Any
    ) -> dict[str, Any]:
        manifest = self.manifest
        notes = []
        if manifest.experimental:
            notes.append("This model is experimental: take its verdicts as a hint.")
        fallbacks = sorted(
            {report["fallback"] for report in reports if report and report.get("fallback")}
        )
        notes += [f"Every frame was decoded: {reason}." for reason in fallbacks]
        finders, runtimes, releases = _workers_of(reports)
        if len(finders) > 1:
            notes.append(f"Faces were found by several finders: {', '.join(finders)}.")
        if len(runtimes) > 1:
            notes.append(f"Scored by several runtimes: {', '.join(runtimes)}.")
        if len(releases) > 1:
            notes.append(f"Analysed by several versions of fimq: {', '.join(releases)}.")
        return {
            "outcome": verdict.outcome,
            "reason": verdict.reason,
            "score": verdict.score,
            "method": self._method(verdict, faces, assigned),
            "track": verdict.track,
            "counts": asdict(counts) | {"tracks": len(set(assigned.values()))},
            "coverage": counts.coverage,
            "segments": [asdict(segment) for segment in verdict.segments],
            "model": {
                "name": manifest.name,
                "version": manifest.version,
                "sha256": manifest.sha256,
                "package_sha256": self.package_sha256,
                "experimental": manifest.experimental,
                "window_penalty": fitted(self.policy, manifest).pooling.window_penalty,
                "thresholds": {
                    "high_precision": manifest.thresholds.high_precision,
                    "high_recall": manifest.thresholds.high_recall,
                },
            },
            "policy": {"name": self.policy.name, "version": self.policy.version},
            # As it was fitted to the video's length, not as it was asked for.
            "sampling": next(report["sampling"] for report in reports if report),
            "runtime": self.runtime,
            "versions": {
                "fimq": fimq.__version__,
                "python": platform.python_version(),
                "face_finder": ", ".join(finders),
                **{name: version(name) for name in _VERSIONED},
            },
            "notes": notes,
        }

    def _method(self, verdict: Verdict, faces: Any, assigned: Any) -> str | None:
        """The likeliest manipulation of the most suspect track, by its mean class scores."""
        kinds = [
            (index, kind.name)
            for index, kind in enumerate(self.manifest.classes)
            if kind.manipulated
        ]
        if len(kinds) < 2 or verdict.outcome not in {"manipulated", "uncertain"}:
            return None
        rows = [
            face.class_scores
            for face in faces
            if face.class_scores is not None
            and assigned[face.frame_index, face.ordinal] == verdict.track
        ]
        if not rows:
            return None
        return max(kinds, key=lambda kind: sum(row[kind[0]] for row in rows))[1]


def fitted(policy: Policy, manifest: Manifest) -> Policy:
    """A policy that pools as the model was calibrated to be pooled."""
    if manifest.pooling is None:
        return policy
    penalty = manifest.pooling.window_penalty
    return replace(policy, pooling=replace(policy.pooling, window_penalty=penalty))


def _workers_of(reports: Any) -> tuple[list[str], list[str], list[str]]:
    """The finders, runtimes and fimq versions that had a part in a job, each in words."""
    told = [report for report in reports if report and "runtime" in report]
    finders = {report["finder"] for report in told}
    runtimes = {tuple(report["runtime"].values()) for report in told}
    releases = {report["fimq"] for report in told}
    return sorted(finders), sorted(map(" ".join, runtimes)), sorted(releases)


def _evidence(faces: Any, assigned: Any, by_frame: dict[int, Sample]) -> list[ScoredTrack]:
    tracks: dict[int, list[Evidence]] = {}
    for face in faces:
        if face.score is not None:
            tracks.setdefault(assigned[face.frame_index, face.ordinal], []).append(
                Evidence(
                    face.frame_index, by_frame[face.frame_index].time_s, face.score, face.quality
                )
            )
    return [ScoredTrack(ordinal, tuple(rows)) for ordinal, rows in sorted(tracks.items())]


def _track_rows(
    faces: Any, assigned: Any, by_frame: dict[int, Sample], verdict: Verdict
) -> list[dict[str, Any]]:
    members: dict[int, list[Any]] = {}
    for face in faces:
        members.setdefault(assigned[face.frame_index, face.ordinal], []).append(face)
    return [
        {
            "ordinal": ordinal,
            "first_frame": rows[0].frame_index,
            "last_frame": rows[-1].frame_index,
            "start_s": by_frame[rows[0].frame_index].time_s,
            "end_s": by_frame[rows[-1].frame_index].time_s,
            "faces": len(rows),
            "scored": sum(face.score is not None for face in rows),
            "score": verdict.track_scores.get(ordinal),
        }
        for ordinal, rows in sorted(members.items())
    ]
