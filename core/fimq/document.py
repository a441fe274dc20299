"""The job document: the one object that `--json`, and later HTTP and webhooks, give out.

Its JSON schema is committed beside it (`schemas/job.json`); a test holds both together.
A missing score is null, never 0.
"""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import datetime
from importlib import resources
from typing import Any

from fimq.cuts import CutReport
from fimq.errors import FimqError
from fimq.ledger.reading import JobRecord, Progress

#: What every verdict's reader must know of its limits.
LIMITS = (
    "Looks for face swaps and reenactment of faces in pictures; does not judge fully "
    "generated video, voices or edits outside the face. A score is not a probability of truth."
)


def job_document(record: JobRecord, progress: Progress | None = None) -> dict[str, Any]:
    """The document of one job, ended or not."""
    job, video, verdict = record.job, record.video, record.verdict
    document: dict[str, Any] = {
        "job_id": job.id,
        "name": job.name,
        "external_id": job.external_id,
        "tags": job.options.get("tags", {}),
        "sha256": video.sha256,
        "bytes": video.bytes,
        "video": video.probe,
        "state": job.state,
        "lane": job.lane,
        "created_at": _time(job.created_at),
        "started_at": _time(job.started_at),
        "ended_at": _time(job.ended_at),
        "progress": {
            "samples_planned": job.samples_planned,
            "samples_done": progress.samples_done if progress else job.samples_done,
        },
        "superseded_by": job.superseded_by,
        "error": _error(job.error_code, job.error_detail) if job.state == "failed" else None,
        "outcome": None,
        "reason": None,
        "score": None,
        "method": None,
        "track": None,
        "counts": None,
        "coverage": None,
        "segments": [],
        "tracks": [
            {
                "track": track.ordinal,
                "start_s": track.start_s,
                "end_s": track.end_s,
                "faces": track.scored,
                "score": track.score,
            }
            for track in record.tracks
        ],
        "model": None,
        "policy": None,
        "sampling": job.options.get("sampling"),
        "cut": _cut(job.options["cut"], record.cut) if job.cuts else None,
        "runtime": None,
        "versions": None,
        "notes": [],
        "judged_at": None,
        "reused_from": None,
        "limits": LIMITS,
    }
    if verdict is not None:
        document |= {
            "outcome": verdict.outcome,
            "reason": verdict.reason,
            "score": verdict.score,
            "method": verdict.method,
            "track": verdict.track,
            "counts": verdict.counts,
            "coverage": verdict.coverage,
            "segments": verdict.segments,
            "model": verdict.model,
            "policy": verdict.policy,
            "sampling": verdict.sampling,
            "runtime": verdict.runtime,
            "versions": verdict.versions,
            "notes": verdict.notes,
            "judged_at": _time(verdict.created_at),
            "reused_from": verdict.reused_from,
        }
    return document


def error_document(error: FimqError, name: str | None = None) -> dict[str, Any]:
    """The document of an input that was refused."""
    return {
        "name": name,
        "state": "refused",
        "error": _facts(error.code, error.message, error.hint),
    }


def schema(name: str) -> dict[str, Any]:
    """A committed JSON schema, by the name of its file."""
    text = resources.files("fimq").joinpath("schemas", f"{name}.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _cut(asked: dict[str, Any], report: CutReport | None) -> dict[str, Any]:
    """How crops are cut and, once they are, what came of it."""
    made = dict.fromkeys(field.name for field in fields(CutReport))
    if report is not None:
        made |= report.document
    bundle = {name: made.pop(name) for name in ("key", "sha256", "bytes")}
    return {**asked, **made, "bundle": bundle if report else None}


def _error(code: str | None, detail: str | None) -> dict[str, Any]:
    known = FimqError.registry.get(code or "", FimqError)
    return _facts(code or known.code, detail or known.default_message(), known.hint)


def _facts(code: str, message: str, hint: str) -> dict[str, Any]:
    return {"code": code, "message": message, "hint": hint or None}


def _time(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat(timespec="milliseconds")
