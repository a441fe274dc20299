"""The ledger driven at random: whatever happens in whatever order, the promises hold."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from fimq.cuts import Cut, CutReport
from fimq.errors import DecoderCrash, IdempotencyConflict, Truncated, WrongState
from fimq.ledger import claims, completion, cutting, submission
from fimq.ledger.claims import Claim
from fimq.ledger.clock import now
from fimq.ledger.completion import SegmentRows
from fimq.ledger.database import Ledger
from fimq.ledger.states import JOB_ENDED, JobState, StepKind, StepState
from fimq.ledger.submission import Content, Request
from fimq.ledger.sweep import sweep
from fimq.ledger.tables import Event, Job, Sample, Step, Table, VerdictRow

LEASE = 30.0
EXECUTIONS, LOSSES = 3, 4
WORKERS = ("ada", "bob", "cleo")
REPORT = CutReport("k", "s", 1, 1, 1, "h264", still=False, fimq="0")


def _verdict(_session: Session, _job_id: str) -> Any:
    columns = {
        "outcome": "not_applicable",
        "reason": "no_face",
        "score": None,
        "counts": {},
        "coverage": 1.0,
        "segments": [],
        "model": {"package_sha256": "m"},
        "policy": {"version": 1},
        "sampling": "every:25",
        "runtime": {},
        "versions": {},
        "notes": [],
    }
    return columns, [], {}


def _rows(ordinal: int) -> SegmentRows:
    sample = {
        "frame_index": ordinal * 100,
        "pts": 0,
        "time_s": 0.0,
        "state": "ok",
        "quality": {},
    }
    return SegmentRows([sample], [], {})


class LedgerMachine(RuleBasedStateMachine):
    """Callers, workers, crashes and sweeps on one ledger."""

    jobs = Bundle("jobs")
    held = Bundle("held")

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.ledger = ledger
        self.submitted: set[str] = set()
        with ledger.write() as session:
            for table in reversed(Table.metadata.sorted_tables):
                session.execute(delete(table))

    # --- callers

    @rule(
        target=jobs,
        content=st.integers(0, 3),
        key=st.none() | st.sampled_from(["k1", "k2"]),
        lane=st.sampled_from(["urgent", "standard"]),
        rescan=st.booleans(),
        cuts=st.sampled_from([False, False, True]),
    )
    def submit(self, content: int, key: str | None, lane: str, rescan: bool, cuts: bool) -> Any:
        request = Request(
            lane=lane,
            package_sha256="m",
            policy_version=1,
            rescan=rescan,
            cut=Cut() if cuts else None,
        )
        stored = Content(f"{content:064d}", 10, f"key{content}", f"{content}.mp4")
        try:
            made = submission.submit(self.ledger, stored, request, idempotency_key=key)
        except IdempotencyConflict:
            assert key is not None
            return multiple()
        again = made.job_id in self.submitted
        assert made.created != again, "a key gave a job twice, or forgot one"
        self.submitted.add(made.job_id)
        return made.job_id

    @rule(job=jobs)
    def cancel(self, job: str) -> None:
        before = self._job(job).state
        assert completion.cancel(self.ledger, job) == (before not in JOB_ENDED)

    @rule(target=jobs, job=jobs)
    def retry(self, job: str) -> Any:
        old = self._job(job)
        try:
            made = submission.retry(self.ledger, job)
        except WrongState:
            ended_badly = old.state in {JobState.FAILED, JobState.CANCELLED}
            assert not ended_badly or old.cuts or old.superseded_by is not None
            return multiple()
        self.submitted.add(made.job_id)
        assert self._job(job).superseded_by == made.job_id
        return made.job_id

    # --- workers

    @rule(
        target=held,
        worker=st.sampled_from(WORKERS),
        choice=st.integers(0, 50),
        ready=st.sampled_from([True, True, True, False]),
    )
    def claim(self, worker: str, choice: int, ready: bool) -> Any:
        with self.ledger.read() as session:
            wanted = select(Step.id).order_by(Step.id)
            if ready:
                wanted = wanted.where(Step.state == StepState.READY)
            steps = session.scalars(wanted).all()
        if not steps:
            return multiple()
        step_id = steps[choice % len(steps)]
        before = self._step(step_id)
        taken = claims.claim(self.ledger, step_id, worker, LEASE)
        assert (taken is not None) == (before.state == StepState.READY)
        if taken is None:
            return multiple()
        assert taken.fence == before.fence + 1
        return taken, worker

    @rule(claim=held)
    def beat(self, claim: tuple[Claim, str]) -> None:
        held, worker = claim
        gone = claims.beat(self.ledger, worker, [held], LEASE)
        assert (held in gone) != self._is_mine(held)

    @rule(claim=held, segments=st.integers(1, 3))
    def complete(self, claim: tuple[Claim, str], segments: int) -> None:
        held, _ = claim
        mine = self._is_mine(held)
        if held.kind == StepKind.CUT:
            done = cutting.complete_cut(self.ledger, held, REPORT)
        elif held.kind == StepKind.SEGMENT:
            done, _finish = completion.complete_segment(self.ledger, held, _rows(held.ordinal))
        elif held.kind == StepKind.PLAN and segments > 1:
            spans = [{"n": number} for number in range(segments)]
            done = completion.complete_plan(self.ledger, held, spans=spans, samples=9) is not None
        else:
            rows = _rows(0) if held.kind == StepKind.PLAN else None
            done = completion.complete_job(self.ledger, held, _verdict, rows=rows, samples=1)
        assert done == mine, "a late worker wrote, or the holder could not"

    @rule(claim=held, final=st.booleans())
    def fail(self, claim: tuple[Claim, str], final: bool) -> None:
        held, _ = claim
        mine = self._is_mine(held)
        error = Truncated() if final else DecoderCrash()
        state = completion.fail_step(
            self.ledger, held, error, final=final, executions=EXECUTIONS, wait=0
        )
        assert (state is not None) == mine
        if state is StepState.FAILED:
            assert self._job(held.job_id).error_code == error.code

    @rule(claim=held)
    def give_back(self, claim: tuple[Claim, str]) -> None:
        held, _ = claim
        before = self._step(held.step_id)
        mine = self._is_mine(held)
        assert claims.give_back(self.ledger, held) == mine
        after = self._step(held.step_id)
        assert (after.executions, after.losses) == (before.executions, before.losses)

    @rule(claim=consumes(held))
    def crash(self, claim: tuple[Claim, str]) -> None:
        """The worker dies: nobody will ever complete this claim, and its lease runs out."""
        self._expire(claim[0])

    @rule(claim=held)
    def expire(self, claim: tuple[Claim, str]) -> None:
        """The lease runs out under a worker that still lives."""
        self._expire(claim[0])

    @rule(target=held, claim=held, worker=st.sampled_from(WORKERS))
    def overtake(self, claim: tuple[Claim, str], worker: str) -> Any:
        """A holder is silent until its step is swept and taken by another; it may come back."""
        held, _ = claim
        self._expire(held)
        self.sweep()
        taken = claims.claim(self.ledger, held.step_id, worker, LEASE)
        return multiple() if taken is None else (taken, worker)

    @rule()
    def sweep(self) -> None:
        with self.ledger.read() as session:
            ready = set(session.scalars(select(Step.id).where(Step.state == StepState.READY)))
        swept = sweep(self.ledger, max_losses=LOSSES, ring_after=0)
        rung = {step_id for step_id, _ in swept.ring}
        # A job that was given up took its ready steps with it.
        with self.ledger.read() as session:
            ready &= set(session.scalars(select(Step.id).where(Step.state == StepState.READY)))
        assert ready <= rung, "a ready step was not rung for"

    # --- promises

    @invariant()
    def every_job_is_there_and_goes_on(self) -> None:
        with self.ledger.read() as session:
            jobs = {job.id: job for job in session.scalars(select(Job))}
            open_by_job = dict(
                session.execute(
                    select(Step.job_id, func.count())
                    .where(Step.state.in_([StepState.READY, StepState.CLAIMED]))
                    .group_by(Step.job_id)
                ).all()
            )
        assert set(jobs) == self.submitted, "a job was lost or appeared"
        for job in jobs.values():
            has_work = open_by_job.get(job.id, 0) > 0
            assert has_work != (job.state in JOB_ENDED), f"{job.state} with open work {has_work}"

    @invariant()
    def one_verdict_and_one_event_a_job(self) -> None:
        with self.ledger.read() as session:
            verdicts = session.scalars(select(VerdictRow.job_id)).all()
            events = session.scalars(select(Event.job_id)).all()
            ended = set(session.scalars(select(Job.id).where(Job.state.in_(JOB_ENDED))))
            done = session.scalars(select(Job).where(Job.state == JobState.DONE))
            judged = [job.id for job in done if not job.cuts]
        assert sorted(verdicts) == sorted(judged)
        assert sorted(events) == sorted(ended)

    @invariant()
    def counters_stay_under_their_caps(self) -> None:
        with self.ledger.read() as session:
            for step in session.scalars(select(Step)):
                assert step.executions <= EXECUTIONS
                assert step.losses <= LOSSES
                assert (step.state == StepState.CLAIMED) <= (step.worker_id is not None)
            for job in session.scalars(select(Job)):
                assert 0 <= job.segments_left <= max(job.segments, 0)
                written = session.scalar(
                    select(func.count()).select_from(Sample).where(Sample.job_id == job.id)
                )
                reused = session.get(VerdictRow, job.id)
                if not job.cuts and (reused is None or reused.reused_from is None):
                    assert written == job.samples_done

    # --- looking

    def _job(self, job_id: str) -> Job:
        with self.ledger.read() as session:
            return session.get_one(Job, job_id)

    def _step(self, step_id: str) -> Step:
        with self.ledger.read() as session:
            return session.get_one(Step, step_id)

    def _is_mine(self, held: Claim) -> bool:
        step = self._step(held.step_id)
        return step.fence == held.fence and step.state == StepState.CLAIMED

    def _expire(self, held: Claim) -> None:
        with self.ledger.write() as session:
            session.execute(
                update(Step)
                .where(Step.id == held.step_id, Step.state == StepState.CLAIMED)
                .values(lease_until=now(-timedelta(seconds=1).total_seconds()))
            )


def test_the_promises_hold_whatever_happens(ledger: Ledger) -> None:
    run_state_machine_as_test(
        lambda: LedgerMachine(ledger),
        settings=settings(
            max_examples=40,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
