"""The ledger's promises, one at a time; the state machine test mixes them at random."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, update

from fimq.errors import (
    DeletedMeanwhile,
    IdempotencyConflict,
    JobAmbiguous,
    JobNotFound,
    StoreUnusable,
    Truncated,
    WrongState,
)
from fimq.ledger import claims, completion, deletion, events, presence, reading, submission
from fimq.ledger.clock import now
from fimq.ledger.database import Ledger
from fimq.ledger.states import JobState, StepState
from fimq.ledger.submission import Content, Request
from fimq.ledger.sweep import sweep
from fimq.ledger.tables import Event, Job, Step, VerdictRow, Video
from scenes import rows, verdict

VIDEO = Content("a" * 64, 10, "aa/aa/" + "a" * 64, "clip.mp4")
REQUEST = Request(package_sha256="m" * 64, policy_version=1)


def start(ledger: Ledger, request: Request = REQUEST) -> tuple[str, claims.Claim]:
    made = submission.submit(ledger, VIDEO, request)
    assert made.step_id
    held = claims.claim(ledger, made.step_id, "w", 30)
    assert held
    return made.job_id, held


def finish(ledger: Ledger, request: Request = REQUEST) -> str:
    job, held = start(ledger, request)
    assert completion.complete_job(ledger, held, verdict, rows=rows(0), samples=1)
    return job


def job_of(ledger: Ledger, job_id: str) -> Job:
    with ledger.read() as session:
        return session.get_one(Job, job_id)


class TestSubmit:
    def test_a_key_gives_one_job_however_many_ask_at_once(self, ledger: Ledger) -> None:
        barrier = threading.Barrier(8)

        def one(_: int) -> str:
            barrier.wait()
            return submission.submit(ledger, VIDEO, REQUEST, idempotency_key="k").job_id

        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(one, range(8)))) == 1
        with ledger.read() as session:
            assert len(session.scalars(select(Step)).all()) == 1

    def test_a_key_used_for_another_request_is_refused(self, ledger: Ledger) -> None:
        submission.submit(ledger, VIDEO, REQUEST, idempotency_key="k")
        with pytest.raises(IdempotencyConflict):
            submission.submit(ledger, VIDEO, Request(lane="urgent"), idempotency_key="k")

    def test_a_key_outlives_the_promotion_of_another_model(self, ledger: Ledger) -> None:
        first = submission.submit(ledger, VIDEO, REQUEST, idempotency_key="k")
        again = submission.submit(
            ledger, VIDEO, Request(package_sha256="n" * 64), idempotency_key="k"
        )
        assert (again.job_id, again.created) == (first.job_id, False)

    def test_a_request_is_hashed_as_by_the_first_release(self) -> None:
        """Or a key that was used before an upgrade is refused after it."""
        asked = Request(model="x", package_sha256="m", tags={"a": "b"}, external_id="e")
        assert asked.digest("0" * 64) == (
            "4704009a7ce989cada124a19c93451fda406c2d0e8d30d375daf31b81d3f94d0"
        )

    def test_the_same_content_is_one_video_and_its_verdict_is_known(self, ledger: Ledger) -> None:
        first = finish(ledger)
        again = submission.submit(ledger, VIDEO, REQUEST)
        assert again.reused_from == first
        assert again.step_id is None
        with ledger.read() as session:
            assert session.get_one(VerdictRow, again.job_id).reused_from == first
            assert len(session.scalars(select(Video)).all()) == 1
            assert len(session.scalars(select(Event)).all()) == 2

    def test_bytes_that_were_submitted_again_are_looked_for_where_they_are_now(
        self, ledger: Ledger
    ) -> None:
        in_place = Content(VIDEO.sha256, VIDEO.bytes, "path:/gone/clip.mp4", VIDEO.name)
        submission.submit(ledger, in_place, REQUEST)
        _, held = start(ledger, Request(rescan=True))
        assert held.store_key == VIDEO.store_key

    @pytest.mark.parametrize(
        "other",
        [
            replace(REQUEST, rescan=True),
            replace(REQUEST, package_sha256="n" * 64),
            replace(REQUEST, package_sha256=None),
            replace(REQUEST, policy_version=2),
            replace(REQUEST, sampling="every:5"),
        ],
    )
    def test_another_question_is_judged_anew(self, ledger: Ledger, other: Request) -> None:
        finish(ledger)
        assert submission.submit(ledger, VIDEO, other).step_id is not None


class TestClaims:
    def test_one_of_many_workers_wins(self, ledger: Ledger) -> None:
        made = submission.submit(ledger, VIDEO, REQUEST)
        assert made.step_id
        barrier = threading.Barrier(8)

        def one(number: int) -> claims.Claim | None:
            barrier.wait()
            return claims.claim(ledger, made.step_id or "", f"w{number}", 30)

        with ThreadPoolExecutor(8) as pool:
            won = [held for held in pool.map(one, range(8)) if held]
        assert len(won) == 1

    def test_a_step_that_is_not_due_is_not_taken(self, ledger: Ledger) -> None:
        _, held = start(ledger)
        completion.fail_step(ledger, held, Truncated(), final=False, executions=3, wait=60)
        assert claims.claim(ledger, held.step_id, "w", 30) is None

    def test_an_error_of_the_content_ends_the_job_at_once(self, ledger: Ledger) -> None:
        job, held = start(ledger)
        completion.fail_step(ledger, held, Truncated(), final=True, executions=3, wait=0)
        assert (job_of(ledger, job).state, job_of(ledger, job).error_code) == (
            "failed",
            "truncated",
        )

    def test_the_last_of_two_segments_makes_one_finish(self, ledger: Ledger) -> None:
        job, held = start(ledger)
        steps = completion.complete_plan(ledger, held, spans=[{}, {}], samples=2)
        assert steps
        pair = [claims.claim(ledger, step, "w", 30) for step in steps]
        barrier = threading.Barrier(2)

        def one(number: int) -> tuple[bool, str | None]:
            barrier.wait()
            segment = pair[number]
            assert segment
            return completion.complete_segment(ledger, segment, rows(number * 25))

        with ThreadPoolExecutor(2) as pool:
            ends = list(pool.map(one, range(2)))
        assert all(written for written, _ in ends)
        assert sum(finish is not None for _, finish in ends) == 1
        assert job_of(ledger, job).segments_left == 0

    def test_a_cancelled_job_is_let_go_by_its_worker(self, ledger: Ledger) -> None:
        job, held = start(ledger)
        assert completion.cancel(ledger, job)
        with ledger.read() as session:
            assert reading.held_steps(session, job) == 1
        assert claims.beat(ledger, "w", [held], 30) == [held]
        assert not completion.complete_job(ledger, held, verdict, rows=rows(0), samples=1)
        claims.let_go(ledger, held)
        with ledger.read() as session:
            assert reading.held_steps(session, job) == 0
            assert session.get(VerdictRow, job) is None

    def test_progress_is_seen_while_a_step_is_in_work(self, ledger: Ledger) -> None:
        job, held = start(ledger)
        claims.record_plan(ledger, held, {"codec": "h264"}, 8, package_sha256="m")
        claims.report_progress(ledger, held, 3)
        with ledger.read() as session:
            state = reading.progress(session, [job])[job]
        assert (state.samples_done, state.samples_planned, state.ended) == (3, 8, False)


class TestSweep:
    def test_a_lost_step_is_free_again_and_rung_for(self, ledger: Ledger) -> None:
        _, held = start(ledger)
        _expire(ledger, held)
        swept = sweep(ledger, max_losses=10, ring_after=60)
        assert swept.ring == [(held.step_id, "standard")]
        assert sweep(ledger, max_losses=10, ring_after=60).ring == []

    def test_a_worker_that_is_lost_too_often_ends_the_job(self, ledger: Ledger) -> None:
        job, held = start(ledger)
        for _ in range(3):
            _expire(ledger, held)
            sweep(ledger, max_losses=3, ring_after=60)
            held = claims.claim(ledger, held.step_id, "w", 30) or held
        assert job_of(ledger, job).error_code == "worker_lost"

    def test_a_live_lease_is_left_alone(self, ledger: Ledger) -> None:
        _, held = start(ledger)
        assert sweep(ledger, max_losses=3, ring_after=0).lost == 0
        assert claims.beat(ledger, "w", [held], 30) == []


class TestAfterwards:
    def test_only_what_failed_or_was_cancelled_is_retried_and_once(self, ledger: Ledger) -> None:
        job = finish(ledger)
        with pytest.raises(WrongState):
            submission.retry(ledger, job)
        other, _ = start(ledger, Request(lane="urgent"))
        completion.cancel(ledger, other)
        made = submission.retry(ledger, other)
        assert job_of(ledger, made.job_id).lane == "urgent"
        with pytest.raises(WrongState):
            submission.retry(ledger, other)

    def test_an_event_waits_until_it_is_delivered(self, ledger: Ledger) -> None:
        job = finish(ledger)
        (offer,) = events.undelivered(ledger, again_after=60)
        assert (offer.job_id, offer.kind, offer.offers) == (job, "job.done", 1)
        assert events.undelivered(ledger, again_after=60) == []
        assert len(events.undelivered(ledger, again_after=-1)) == 1
        events.delivered(ledger, offer.id)
        assert events.undelivered(ledger, again_after=-1) == []

    def test_a_deleted_job_leaves_nothing_and_its_video_goes_with_the_last(
        self, ledger: Ledger
    ) -> None:
        first = finish(ledger)
        second = submission.submit(ledger, VIDEO, REQUEST).job_id
        removed: list[str] = []
        deletion.delete(ledger, first, remove=removed.append)
        assert removed == []
        deletion.delete(ledger, second, remove=removed.append)
        assert removed == [VIDEO.store_key]
        with ledger.read() as session:
            assert session.scalars(select(Job)).all() == []
            assert session.scalars(select(Event)).all() == []
        with pytest.raises(JobNotFound):
            deletion.delete(ledger, first, remove=removed.append)
        assert submission.submit(ledger, VIDEO, REQUEST).step_id is not None

    def test_a_video_that_cannot_be_removed_keeps_its_job(self, ledger: Ledger) -> None:
        def away(_: str) -> None:
            raise StoreUnusable

        job = finish(ledger)
        with pytest.raises(StoreUnusable):
            deletion.delete(ledger, job, remove=away)
        assert job_of(ledger, job).state == JobState.DONE

    def test_a_video_that_another_tenant_needs_is_not_removed(self, ledger: Ledger) -> None:
        removed: list[str] = []
        job = finish(ledger)
        other = submission.submit(ledger, VIDEO, REQUEST, tenant="other").job_id
        deletion.delete(ledger, job, remove=removed.append)
        assert removed == []
        completion.cancel(ledger, other)
        deletion.delete(ledger, other, remove=removed.append)
        assert removed == [VIDEO.store_key]

    def test_content_that_was_deleted_is_looked_for_before_a_job_counts_on_it(
        self, ledger: Ledger
    ) -> None:
        asked: list[str] = []

        def gone(key: str) -> bool:
            asked.append(key)
            return False

        job = submission.submit(ledger, VIDEO, REQUEST, kept=gone).job_id
        assert asked == [], "content that was never deleted was just put there"
        completion.cancel(ledger, job)
        deletion.delete(ledger, job, remove=lambda _: None)
        with pytest.raises(DeletedMeanwhile):
            submission.submit(ledger, VIDEO, REQUEST, tenant="other", kept=gone)
        assert asked == [VIDEO.store_key]
        assert submission.submit(ledger, VIDEO, REQUEST, kept=lambda _: True).created

    def test_a_known_verdict_outlives_the_job_that_made_it(self, ledger: Ledger) -> None:
        first = finish(ledger)
        heir, other = (submission.submit(ledger, VIDEO, REQUEST).job_id for _ in range(2))
        deletion.delete(ledger, first, remove=lambda _: None)
        with ledger.read() as session:
            assert len(reading.evidence_of(session, heir)[0]) == 1
            assert len(reading.evidence_of(session, other)[0]) == 1
        assert submission.submit(ledger, VIDEO, REQUEST).reused_from == heir

    def test_what_has_not_ended_is_not_deleted(self, ledger: Ledger) -> None:
        job, _ = start(ledger)
        with pytest.raises(WrongState, match="fimq cancel"):
            deletion.delete(ledger, job, remove=lambda _: None)

    def test_jobs_are_found_by_the_beginning_of_their_id_and_by_name(self, ledger: Ledger) -> None:
        jobs = [start(ledger, Request(rescan=True))[0] for _ in range(2)]
        with ledger.read() as session:
            assert reading.find_job(session, jobs[0][:13]).id == jobs[0]
            assert reading.find_job(session, "clip").id == jobs[1]
            assert reading.find_job(session, "clip.mp4").id == jobs[1]
            with pytest.raises(JobAmbiguous):
                reading.find_job(session, jobs[0][:6])
            with pytest.raises(JobNotFound):
                reading.find_job(session, "other")

    def test_a_worker_is_alive_while_it_beats_and_until_it_leaves(self, ledger: Ledger) -> None:
        worker = presence.register(ledger, lanes=["standard"], slots=2, facts={})
        presence.seen(ledger, worker, {}, lanes=["standard"], slots=1)
        assert [row.id for row in presence.alive(ledger, within=60)] == [worker]
        presence.leave(ledger, worker)
        assert presence.alive(ledger, within=60) == []


def test_states_are_kept_as_the_words_of_the_design(ledger: Ledger) -> None:
    job = finish(ledger)
    with ledger.read() as session:
        assert session.scalars(select(Step.state)).all() == [StepState.DONE]
        assert session.get_one(Job, job).state == JobState.DONE


def _expire(ledger: Ledger, held: claims.Claim) -> None:
    with ledger.write() as session:
        session.execute(update(Step).where(Step.id == held.step_id).values(lease_until=now(-1)))


class TestOrder:
    def test_the_oldest_job_of_the_lane_goes_first_whoever_was_rung_for(
        self, ledger: Ledger
    ) -> None:
        first, second = (submitted(ledger, number) for number in (1, 2))
        other = submitted(ledger, 3, lane="urgent")
        assert waiting(ledger, second) == [first, second]
        assert waiting(ledger, other) == [other]
        held = claims.claim(ledger, first, "w", 30)
        assert held
        segments = completion.complete_plan(ledger, held, spans=[{}, {}], samples=2)
        assert segments
        # The first video's segments were rung for last, and go before the second video.
        assert waiting(ledger, second) == [*segments, second]
        lost = claims.claim(ledger, segments[0], "w", 30)
        assert lost
        assert waiting(ledger, segments[0]) == [segments[1], second]
        assert claims.give_back(ledger, lost)
        assert waiting(ledger, second) == [*segments, second]

    def test_what_is_not_due_is_not_next(self, ledger: Ledger) -> None:
        first, second = (submitted(ledger, number) for number in (1, 2))
        held = claims.claim(ledger, first, "w", 30)
        assert held
        completion.fail_step(ledger, held, Truncated(), final=False, executions=3, wait=60)
        assert waiting(ledger, first) == [second]
        assert waiting(ledger, "none") == []


def submitted(ledger: Ledger, number: int, **request: Any) -> str:
    sha256 = f"{number:064x}"
    made = submission.submit(ledger, Content(sha256, 1, sha256, "clip"), Request(**request))
    assert made.step_id
    return made.step_id


def waiting(ledger: Ledger, step_id: str) -> list[str]:
    return claims.oldest_waiting(ledger, step_id, limit=10)
