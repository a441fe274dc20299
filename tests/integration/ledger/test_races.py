"""Races: everybody starts at one barrier, many times over, and one thing comes of it.

Each actor has a connection of its own. PostgreSQL looks for deadlocks every 100 ms here; one
that it met would be the LedgerUnreachable of an actor, and fail the test.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from fimq.errors import JobNotFound, Truncated, WrongState
from fimq.ledger import claims, completion, deletion, reading, submission
from fimq.ledger.database import Ledger
from fimq.ledger.states import JobState, StepKind, StepState
from fimq.ledger.sweep import sweep
from fimq.ledger.tables import Event, Job, Step, VerdictRow, Video
from scenes import (
    REQUEST,
    all_of,
    content,
    expire,
    job_of,
    planned,
    rows,
    step_of,
    submitted,
    taken,
    verdict,
)

#: Of each race. The soak of a release takes more.
ROUNDS = int(os.environ.get("RACE_ROUNDS", "25"))
Call = Callable[[], Any]


@pytest.fixture(autouse=True)
def _no_deadlock(ledger: Ledger, request: pytest.FixtureRequest) -> Iterator[None]:
    """The server's own count, beside what the actors met."""
    yield
    if ledger.url.get_backend_name() == "postgresql":
        ledger.close()  # a session reports when it ends
        assert request.getfixturevalue("postgres").deadlocks(ledger.url.database) == 0


def at_once(*calls: Call) -> list[Any]:
    """Call all of them at one moment, a little shaken; an error of any of them is raised."""
    barrier = threading.Barrier(len(calls))

    def run(call: Call) -> Any:
        pause = random.choice((0.0, 0.0, random.random() * 0.004))
        barrier.wait()
        time.sleep(pause)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(run, call) for call in calls]]


def swept(ledger: Ledger, losses: int = 10) -> Call:
    return lambda: sweep(ledger, max_losses=losses, ring_after=60)


def ends_once(ledger: Ledger, job_id: str) -> JobState:
    """One end and one event of it, a verdict where it is done, and no work left."""
    job = job_of(ledger, job_id)
    assert [event.kind for event in all_of(ledger, Event, job_id=job_id)] == [f"job.{job.state}"]
    assert len(all_of(ledger, VerdictRow, job_id=job_id)) == (job.state == JobState.DONE)
    left = {step.state for step in all_of(ledger, Step, job_id=job_id)}
    assert not left & {StepState.READY, StepState.CLAIMED}
    return JobState(job.state)


class TestClaim:
    def test_one_of_sixteen_workers_gets_a_step(self, ledger: Ledger) -> None:
        for number in range(ROUNDS):
            job, step = submitted(ledger, number)
            asked = [partial(claims.claim, ledger, step, f"w{worker}", 30) for worker in range(16)]
            won = [held for held in at_once(*asked) if held]
            assert [held.fence for held in won] == [1]
            assert job_of(ledger, job).state == JobState.RUNNING

    def test_one_of_four_processes_gets_each_step(self, ledger: Ledger, ledger_url: str) -> None:
        steps = [submitted(ledger, number)[1] for number in range(ROUNDS)]
        spawn = multiprocessing.get_context("spawn")
        barrier, won = spawn.Barrier(4), spawn.Queue()
        workers = [
            spawn.Process(target=_claim_all, args=(ledger_url, steps, barrier, won))
            for _ in range(4)
        ]
        for worker in workers:
            worker.start()
        claimed = [step for _ in workers for step in won.get(timeout=60)]
        for worker in workers:
            worker.join()
        assert sorted(claimed) == sorted(steps)

    def test_a_job_that_is_cancelled_meanwhile_is_claimed_or_not(self, ledger: Ledger) -> None:
        for number in range(ROUNDS):
            job, step = submitted(ledger, number)
            cancelled, *held = at_once(
                partial(completion.cancel, ledger, job),
                *[partial(claims.claim, ledger, step, "w", 30)] * 3,
            )
            assert cancelled
            assert sum(one is not None for one in held) <= 1
            assert ends_once(ledger, job) == JobState.CANCELLED


def _claim_all(url: str, steps: list[str], barrier: Any, won: Any) -> None:
    ledger = Ledger(url)
    ledger.schema()
    barrier.wait()
    won.put([step for step in steps if claims.claim(ledger, step, "w", 30)])
    ledger.close()


class TestLease:
    @pytest.mark.parametrize("sweeps", [1, 2])
    def test_an_expired_step_is_kept_or_freed(self, ledger: Ledger, sweeps: int) -> None:
        for number in range(ROUNDS):
            held = taken(ledger, submitted(ledger, number)[1])
            expire(ledger, held)
            gone, *found = at_once(
                partial(claims.beat, ledger, "w", [held], 30), *[swept(ledger)] * sweeps
            )
            step = step_of(ledger, held.step_id)
            freed = sum(one.lost for one in found)
            assert step.losses == freed
            # What a sweep was looking at is waited for, so the beat knows in any case.
            assert (gone, step.state) == ([held], "ready") if freed else ([], "claimed")
            completion.cancel(ledger, held.job_id)

    def test_a_live_step_is_not_freed(self, ledger: Ledger) -> None:
        held = planned(ledger, segments=8)
        for _ in range(ROUNDS):
            gone, found, again, written = at_once(
                partial(claims.beat, ledger, "w", held, 30),
                swept(ledger),
                swept(ledger),
                partial(claims.report_progress, ledger, held[3], 1),
            )
            assert (gone, found.lost, again.lost, written) == ([], 0, 0, True)

    def test_two_sweeps_count_a_loss_once_and_ring_once(self, ledger: Ledger) -> None:
        for number in range(ROUNDS // 2):
            held = planned(ledger, number, segments=8)
            unheard = {submitted(ledger, 1000 + number * 8 + other)[1] for other in range(8)}
            expire(ledger, *held)
            lost = {claim.step_id for claim in held}
            found = at_once(*[swept(ledger)] * 3)
            assert sum(one.lost for one in found) == len(lost)
            assert {step_of(ledger, step).losses for step in lost} == {1}
            rung = [step for one in found for step, _ in one.ring]
            assert sorted(rung) == sorted(lost | unheard)
            for job in {step.job_id for step in all_of(ledger, Step, state=StepState.READY)}:
                completion.cancel(ledger, job)

    def test_a_step_is_given_back_or_lost(self, ledger: Ledger) -> None:
        for number in range(ROUNDS):
            held = taken(ledger, submitted(ledger, number)[1])
            expire(ledger, held)
            given, found = at_once(partial(claims.give_back, ledger, held), swept(ledger))
            step = step_of(ledger, held.step_id)
            assert (step.state, step.losses) == (StepState.READY, 0 if given else 1)
            assert found.lost == (not given)

    def test_a_beat_and_a_cancel_meet_on_many_steps(self, ledger: Ledger) -> None:
        for number in range(ROUNDS // 2):
            held = planned(ledger, number, segments=8)
            shuffled = random.sample(held, len(held))
            at_once(
                partial(claims.beat, ledger, "w", held, 30),
                partial(claims.beat, ledger, "w", shuffled, 30),
                partial(completion.cancel, ledger, held[0].job_id),
            )
            assert ends_once(ledger, held[0].job_id) == JobState.CANCELLED
            assert claims.beat(ledger, "w", held, 30) == held


class TestSubmit:
    def test_one_key_twenty_times_at_once_is_one_job(self, ledger: Ledger) -> None:
        for number in range(ROUNDS // 2):
            ask = partial(
                submission.submit, ledger, content(number), REQUEST, idempotency_key=f"k{number}"
            )
            made = at_once(*[ask] * 20)
            assert len({one.job_id for one in made}) == 1
            assert sum(one.created for one in made) == 1
        assert len(all_of(ledger, Step)) == len(all_of(ledger, Video)) == ROUNDS // 2

    def test_new_content_under_many_keys_is_one_video(self, ledger: Ledger) -> None:
        for number in range(ROUNDS // 2):
            asked = [
                partial(
                    submission.submit,
                    ledger,
                    content(number),
                    REQUEST,
                    idempotency_key=f"{number}-{key}",
                )
                for key in (*range(8), *range(8))
            ]
            made = at_once(*asked)
            assert len({one.job_id for one in made}) == 8
            assert len(all_of(ledger, Video, sha256=content(number).sha256)) == 1

    def test_a_failed_job_is_retried_once(self, ledger: Ledger) -> None:
        for number in range(ROUNDS):
            job, _ = submitted(ledger, number)
            completion.cancel(ledger, job)
            made = [one for one in at_once(*[_retry(ledger, job)] * 4) if one]
            assert [job_of(ledger, job).superseded_by] == made

    def test_a_verdict_is_taken_over_whole_or_made_anew(self, ledger: Ledger) -> None:
        for number in range(ROUNDS):
            first, step = submitted(ledger, number)
            done = completion.complete_job(
                ledger, taken(ledger, step), verdict, rows=rows(0), samples=1
            )
            assert done
            purged, *made = at_once(
                partial(deletion.delete, ledger, first, remove=lambda _: None),
                *[partial(submission.submit, ledger, content(number), REQUEST)] * 3,
            )
            with ledger.read() as session:
                for one in made:
                    if one.step_id is None:
                        assert len(reading.evidence_of(session, one.job_id)[0]) == 1
                (video,) = [session.get_one(Job, one.job_id).video_id for one in made[:1]]
                assert session.get_one(Video, video).purged_at is None
            # It was unused for a moment only where nobody could take the verdict over.
            assert (purged is not None) == all(one.step_id for one in made)


def _retry(ledger: Ledger, job: str) -> Call:
    def call() -> str | None:
        try:
            return submission.retry(ledger, job).job_id
        except WrongState:
            return None

    return call


class TestEnd:
    @pytest.mark.parametrize("segments", [2, 4])
    def test_the_last_segments_together_make_one_finish(
        self, ledger: Ledger, segments: int
    ) -> None:
        for number in range(ROUNDS):
            held = planned(ledger, number, segments=segments)
            ends = at_once(
                *[
                    partial(completion.complete_segment, ledger, one, rows(one.ordinal))
                    for one in held
                ]
            )
            assert all(written for written, _ in ends)
            (finish,) = [step for _, step in ends if step]
            job = job_of(ledger, held[0].job_id)
            assert (job.segments_left, job.samples_done) == (0, segments)
            made = all_of(ledger, Step, job_id=job.id, kind=StepKind.FINISH)
            assert [step.id for step in made] == [finish]

    def test_a_job_is_done_or_cancelled(self, ledger: Ledger) -> None:
        for number in range(ROUNDS):
            job, step = submitted(ledger, number)
            held = taken(ledger, step)
            cancelled, done, _ = at_once(
                partial(completion.cancel, ledger, job),
                partial(completion.complete_job, ledger, held, verdict, rows=rows(0), samples=1),
                partial(claims.record_plan, ledger, held, {}, 1, package_sha256="m"),
            )
            assert cancelled != done
            assert ends_once(ledger, job) == (JobState.CANCELLED if cancelled else JobState.DONE)

    def test_a_segment_is_written_or_cancelled(self, ledger: Ledger) -> None:
        for number in range(ROUNDS):
            held = planned(ledger, number, segments=3)
            cancelled, *_ = at_once(
                partial(completion.cancel, ledger, held[0].job_id),
                *[
                    partial(completion.complete_segment, ledger, one, rows(one.ordinal))
                    for one in held
                ],
            )
            assert cancelled
            assert ends_once(ledger, held[0].job_id) == JobState.CANCELLED

    def test_a_plan_is_made_or_cancelled(self, ledger: Ledger) -> None:
        for number in range(ROUNDS):
            job, step = submitted(ledger, number)
            held = taken(ledger, step)
            at_once(
                partial(completion.cancel, ledger, job),
                partial(completion.complete_plan, ledger, held, spans=[{}] * 3, samples=3),
            )
            assert ends_once(ledger, job) == JobState.CANCELLED

    def test_a_job_fails_or_is_cancelled(self, ledger: Ledger) -> None:
        for number in range(ROUNDS):
            job, step = submitted(ledger, number)
            held = taken(ledger, step)
            cancelled, failed = at_once(
                partial(completion.cancel, ledger, job),
                partial(
                    completion.fail_step,
                    ledger,
                    held,
                    Truncated(),
                    final=True,
                    executions=3,
                    wait=0,
                ),
            )
            assert cancelled == (failed is None)
            assert ends_once(ledger, job) == (JobState.CANCELLED if cancelled else JobState.FAILED)

    def test_two_segments_fail_their_job_once(self, ledger: Ledger) -> None:
        for number in range(ROUNDS):
            held = planned(ledger, number, segments=3)
            failed = at_once(
                *[
                    partial(
                        completion.fail_step,
                        ledger,
                        one,
                        Truncated(),
                        final=True,
                        executions=3,
                        wait=0,
                    )
                    for one in held
                ]
            )
            assert sum(one is StepState.FAILED for one in failed) == 1
            assert ends_once(ledger, held[0].job_id) == JobState.FAILED

    def test_a_job_given_up_ends_once(self, ledger: Ledger) -> None:
        for number in range(ROUNDS):
            held = planned(ledger, number, segments=3)
            expire(ledger, *held)
            job = held[0].job_id
            at_once(
                swept(ledger, losses=1),
                swept(ledger, losses=1),
                partial(completion.complete_segment, ledger, held[0], rows(0)),
                partial(claims.beat, ledger, "w", held, 30),
                partial(completion.cancel, ledger, job),
            )
            assert ends_once(ledger, job) in {JobState.CANCELLED, JobState.FAILED}

    def test_a_job_is_deleted_once(self, ledger: Ledger) -> None:
        for number in range(ROUNDS):
            job, _ = submitted(ledger, number)
            completion.cancel(ledger, job)
            purged = at_once(*[_delete(ledger, job)] * 3)
            assert sorted(purged) == ["", "", f"key{number}"]


def _delete(ledger: Ledger, job: str) -> Call:
    def call() -> str:
        try:
            return deletion.delete(ledger, job, remove=lambda _: None) or "kept"
        except JobNotFound:
            return ""

    return call
