"""Jobs that cut crops, in the ledger: one step, no verdict, and nothing left of them."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from sqlalchemy import select

from fimq.cuts import LANE, Cut, CutReport
from fimq.document import job_document, schema
from fimq.errors import IdempotencyConflict, StoreUnusable, Truncated, WrongState
from fimq.ledger import claims, completion, cutting, deletion, reading, submission
from fimq.ledger.completion import SegmentRows
from fimq.ledger.database import Ledger
from fimq.ledger.states import StepKind, StepState
from fimq.ledger.submission import Content, Request, Submitted
from fimq.ledger.tables import Event, Job, Step, VerdictRow, Video
from scenes import verdict

VIDEO = Content("a" * 64, 10, "aa/aa/" + "a" * 64, "clip.mp4")
CUT = Request(lane=LANE, model="", policy="", external_id="real/clip.mp4", cut=Cut())
JUDGE = Request(package_sha256="m" * 64, policy_version=1)
REPORT = CutReport("bb/bb/" + "b" * 64, "b" * 64, 99, 30, 12, "h264", still=False, fimq="0.1.0")


def ask(ledger: Ledger, request: Request = CUT, key: str | None = None) -> Submitted:
    return submission.submit(ledger, VIDEO, request, idempotency_key=key)


def claimed(ledger: Ledger, made: Submitted) -> claims.Claim:
    held = claims.claim(ledger, made.step_id or "", "w", 30)
    assert held
    return held


def done(ledger: Ledger, key: str | None = None) -> str:
    made = ask(ledger, key=key)
    assert cutting.complete_cut(ledger, claimed(ledger, made), REPORT)
    return made.job_id


def judged(ledger: Ledger) -> str:
    made = ask(ledger, JUDGE)
    rows = SegmentRows([], [], {"packet_errors": 0})
    assert completion.complete_job(ledger, claimed(ledger, made), verdict, rows=rows, samples=0)
    return made.job_id


def count(ledger: Ledger, table: Any) -> int:
    with ledger.read() as session:
        return len(session.scalars(select(table)).all())


def test_a_request_has_one_job_of_one_step_and_no_verdict(ledger: Ledger) -> None:
    first, again = ask(ledger, key="k"), ask(ledger, key="k")
    assert (again.job_id, again.created) == (first.job_id, False)
    with pytest.raises(IdempotencyConflict):
        ask(ledger, Request(cut=Cut(every=5)), key="k")
    held = claimed(ledger, first)
    assert (held.kind, held.lane, Cut.from_options(held.options["cut"])) == (
        StepKind.CUT,
        LANE,
        Cut(),
    )
    assert cutting.complete_cut(ledger, held, REPORT)
    with ledger.read() as session:
        job = session.get_one(Job, first.job_id)
        assert (job.state, job.samples_planned, job.samples_done) == ("done", 30, 30)
        known = cutting.jobs(session, [first.job_id, "gone"])
        assert {job_id: cut.report for job_id, cut in known.items()} == {first.job_id: REPORT}
        assert known[first.job_id].external_id == "real/clip.mp4"
    assert [count(ledger, table) for table in (Step, Event, VerdictRow)] == [1, 1, 0]


def test_it_gives_no_verdict_to_others_and_takes_none(ledger: Ledger) -> None:
    done(ledger)
    assert ask(ledger, JUDGE).step_id is not None
    judged(ledger)
    assert ask(ledger, JUDGE).reused_from is not None
    assert ask(ledger, CUT).step_id is not None


def test_a_claim_that_was_lost_ends_nothing(ledger: Ledger) -> None:
    made = ask(ledger)
    late = claimed(ledger, made)
    assert claims.give_back(ledger, late)
    held = claimed(ledger, made)
    assert not cutting.complete_cut(ledger, late, REPORT)
    assert cutting.complete_cut(ledger, held, REPORT)
    other = ask(ledger)
    held = claimed(ledger, other)
    completion.cancel(ledger, other.job_id)
    assert not cutting.complete_cut(ledger, held, REPORT)


def test_a_bundle_is_wanted_by_its_job_alone(ledger: Ledger) -> None:
    ended, waiting, cancelled = done(ledger), ask(ledger).job_id, ask(ledger).job_id
    completion.cancel(ledger, cancelled)
    with ledger.read() as session:
        assert cutting.is_wanted(session, ended, REPORT.key)
        assert not cutting.is_wanted(session, ended, "other")
        assert cutting.is_wanted(session, waiting, REPORT.key)
        assert not cutting.is_wanted(session, cancelled, REPORT.key)
        assert not cutting.is_wanted(session, "gone", REPORT.key)


def test_a_run_is_known_by_how_its_keys_begin(ledger: Ledger) -> None:
    jobs = [done(ledger, key=f"prepare:r_n:{number}") for number in range(2)]
    done(ledger, key="prepare:run:1")
    with ledger.read() as session:
        found = cutting.asked_under(session, "default", "prepare:r_n:")
        assert [job.job_id for job in found] == jobs
        assert cutting.asked_under(session, "other", "prepare:r_n:") == []


def test_its_bundle_goes_with_it_and_its_video_if_nobody_else_needs_that(ledger: Ledger) -> None:
    first, other, removed = done(ledger), judged(ledger), []
    assert deletion.delete(ledger, first, remove=removed.append) is None
    assert removed == [REPORT.key]
    last = done(ledger)
    deletion.delete(ledger, other, remove=removed.append)
    assert removed == [REPORT.key]
    assert deletion.delete(ledger, last, remove=removed.append) == VIDEO.store_key
    assert removed[1:] == [REPORT.key, VIDEO.store_key]
    assert [count(ledger, table) for table in (Job, Step, Event)] == [0, 0, 0]
    with ledger.read() as session:
        assert session.scalars(select(Video)).one().purged_at is not None


def test_a_store_that_is_away_keeps_the_job(ledger: Ledger) -> None:
    job = done(ledger)

    def away(_: str) -> None:
        raise StoreUnusable

    with pytest.raises(StoreUnusable):
        deletion.delete(ledger, job, remove=away)
    with ledger.read() as session:
        assert cutting.report_of(session, job) == REPORT


def test_who_asked_asks_again_and_nobody_else(ledger: Ledger) -> None:
    made = ask(ledger)
    held = claimed(ledger, made)
    state = completion.fail_step(ledger, held, Truncated(), final=True, executions=3, wait=0)
    assert state is StepState.FAILED
    with ledger.read() as session:
        assert reading.retryable(session) == []
    with pytest.raises(WrongState, match="fimq train prepare"):
        submission.retry(ledger, made.job_id)


def test_its_document_says_what_it_is(ledger: Ledger) -> None:
    waiting, ended = ask(ledger).job_id, done(ledger)
    for job, crops, bundle in (
        (waiting, None, None),
        (ended, 12, {"key": REPORT.key, "sha256": REPORT.sha256, "bytes": 99}),
    ):
        with ledger.read() as session:
            document = job_document(reading.record(session, job))
        jsonschema.validate(document, schema("job"))
        assert (document["outcome"], document["score"]) == (None, None)
        assert (document["cut"]["every"], document["cut"]["crops"]) == (25, crops)
        assert document["cut"]["bundle"] == bundle
    with ledger.read() as session:
        assert [row.crops for row in reading.list_jobs(session)] == [12, None]
        assert job_document(reading.record(session, waiting))["cut"]["samples"] is None
