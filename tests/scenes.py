"""Scenes that the tests of the ledger begin with: a job, its claims, its rows, a verdict."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update

from fimq.ledger import claims, completion, submission
from fimq.ledger.claims import Claim
from fimq.ledger.clock import now
from fimq.ledger.completion import SegmentRows
from fimq.ledger.database import Ledger
from fimq.ledger.submission import Content, Request
from fimq.ledger.tables import Job, Step

REQUEST = Request(package_sha256="m" * 64, policy_version=1)


def content(number: int) -> Content:
    return Content(f"{number:064x}", 10, f"key{number}", f"clip{number}.mp4")


def verdict(*_: Any) -> Any:
    columns = {
        "outcome": "not_applicable", "reason": "no_face", "score": None, "counts": {},
        "coverage": 1.0, "segments": [],
        "model": {"package_sha256": "m" * 64}, "policy": {"version": 1},
        "sampling": "every:25", "runtime": {}, "versions": {}, "notes": [],
    }  # fmt: skip
    return columns, [], {}


def rows(frame: int) -> SegmentRows:
    sample = {"frame_index": frame, "pts": 0, "time_s": 0.0, "state": "ok", "quality": {}}
    return SegmentRows([sample], [], {"packet_errors": 0})


def submitted(ledger: Ledger, number: int = 0, request: Request = REQUEST) -> tuple[str, str]:
    """A job and its plan step."""
    made = submission.submit(ledger, content(number), request)
    assert made.step_id
    return made.job_id, made.step_id


def taken(ledger: Ledger, step_id: str, worker: str = "w") -> Claim:
    held = claims.claim(ledger, step_id, worker, 30)
    assert held
    return held


def planned(ledger: Ledger, number: int = 0, *, segments: int, worker: str = "w") -> list[Claim]:
    """A long video whose segments are all held."""
    _, plan = submitted(ledger, number)
    steps = completion.complete_plan(
        ledger, taken(ledger, plan), spans=[{}] * segments, samples=segments
    )
    assert steps
    return [taken(ledger, step, worker) for step in steps]


def expire(ledger: Ledger, *held: Claim) -> None:
    """Let leases run out."""
    with ledger.write() as session:
        session.execute(
            update(Step)
            .where(Step.id.in_([claim.step_id for claim in held]))
            .values(lease_until=now(-1))
        )


def job_of(ledger: Ledger, job_id: str) -> Job:
    with ledger.read() as session:
        return session.get_one(Job, job_id)


def step_of(ledger: Ledger, step_id: str) -> Step:
    with ledger.read() as session:
        return session.get_one(Step, step_id)


def all_of(ledger: Ledger, table: Any, **where: Any) -> list[Any]:
    with ledger.read() as session:
        return list(session.scalars(select(table).filter_by(**where)))
