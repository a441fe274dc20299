"""Who works, and how it goes, as the ledger tells it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from fimq.errors import NotAVideo, WorkerAmbiguous, WorkerNotFound
from fimq.ledger import claims, completion, presence, submission
from fimq.ledger.clock import now
from fimq.ledger.completion import SegmentRows
from fimq.ledger.database import Ledger
from fimq.ledger.presence import Presence, WorkerState
from fimq.ledger.stats import LaneStats, Stats, stats
from fimq.ledger.submission import Content, Request
from fimq.ledger.tables import Job, Worker
from scenes import all_of

LANES = ("urgent", "standard", "archive")


def enter(ledger: Ledger, slots: int = 2) -> str:
    return presence.register(ledger, lanes=["standard"], slots=slots, facts={"fimq": "1"})


def beat(ledger: Ledger, worker: str, version: str) -> bool:
    return presence.seen(ledger, worker, {"fimq": version}, lanes=["standard"], slots=2)


def seen(ledger: Ledger, within: float = 60) -> dict[str, Presence]:
    with ledger.read() as session:
        return {row.id: row for row in presence.workers(session, within=within)}


def submit(ledger: Ledger, number: int, **request: Any) -> submission.Submitted:
    sha256 = f"{number:064x}"
    made = submission.submit(
        ledger, Content(sha256, 10, sha256, f"{number}.mp4"), Request(**request)
    )
    assert made.step_id
    return made


def claim(ledger: Ledger, made: submission.Submitted, worker: str) -> claims.Claim:
    held = claims.claim(ledger, str(made.step_id), worker, 30)
    assert held
    return held


def judge(
    ledger: Ledger,
    held: claims.Claim,
    outcome: str,
    reason: str | None,
    probe: dict[str, Any] | None = None,
) -> None:
    columns = {
        "outcome": outcome, "reason": reason, "score": None, "counts": {}, "coverage": 1.0,
        "segments": [], "model": {}, "policy": {}, "sampling": "every:25", "runtime": {},
        "versions": {}, "notes": [],
    }  # fmt: skip
    sample = {"frame_index": 0, "pts": 0, "time_s": 0.0, "state": "ok", "quality": {}}
    rows = SegmentRows([sample], [], {"packet_errors": 0})
    assert claims.record_plan(ledger, held, probe or {"duration_s": 90.5}, 1, package_sha256="m")
    assert completion.complete_job(ledger, held, lambda *_: (columns, [], {}), rows=rows, samples=1)


def told(ledger: Ledger, window: float = 3600) -> Stats:
    with ledger.read() as session:
        return stats(session, lanes=LANES, window=window, silent=60)


class TestPresence:
    def test_a_worker_works_while_it_holds_a_step(self, ledger: Ledger) -> None:
        worker = enter(ledger)
        assert seen(ledger)[worker].state is WorkerState.IDLE
        held = claim(ledger, submit(ledger, 1), worker)
        row = seen(ledger)[worker]
        assert (row.state, row.steps, row.slots) == (WorkerState.WORKING, 1, 2)
        assert claims.give_back(ledger, held)
        assert seen(ledger)[worker].state is WorkerState.IDLE

    def test_a_worker_that_does_not_beat_is_silent_and_one_that_left_has_stopped(
        self, ledger: Ledger
    ) -> None:
        quiet, gone = enter(ledger), enter(ledger)
        with ledger.write() as session:
            session.execute(update(Worker).where(Worker.id == quiet).values(beat_at=now(-61)))
        presence.leave(ledger, gone)
        assert seen(ledger)[quiet].state is WorkerState.SILENT
        assert seen(ledger)[gone].state is WorkerState.STOPPED
        assert presence.alive(ledger, within=60) == []

    def test_a_beat_brings_facts_and_takes_the_wish_to_drain(self, ledger: Ledger) -> None:
        worker, other = enter(ledger), enter(ledger)
        assert beat(ledger, worker, "2") is False
        assert presence.ask_to_drain(ledger, worker) == worker
        assert presence.ask_to_drain(ledger, worker[:13].upper()) == worker
        assert beat(ledger, worker, "3") is True
        assert beat(ledger, other, "3") is False
        row = seen(ledger)[worker]
        assert (row.state, row.facts) == (WorkerState.DRAINING, {"fimq": "3"})
        assert row.state.alive

    def test_who_is_asked_to_drain_must_be_one_that_is_there(self, ledger: Ledger) -> None:
        workers = [enter(ledger) for _ in range(2)]
        with pytest.raises(WorkerAmbiguous, match=workers[1][:13]):
            presence.ask_to_drain(ledger, workers[0][:6])
        for nobody in ("", "%", "ffff", workers[0] + "0"):
            with pytest.raises(WorkerNotFound):
                presence.ask_to_drain(ledger, nobody)
        presence.leave(ledger, workers[0])
        assert presence.ask_to_drain(ledger, workers[0][:6]) == workers[1]

    def test_rows_of_workers_long_gone_are_removed(self, ledger: Ledger) -> None:
        worker = enter(ledger)
        with ledger.write() as session:
            session.execute(
                update(Worker).where(Worker.id == worker).values(beat_at=now(-presence.KEEP - 1))
            )
        assert seen(ledger) == {}, "nobody asks for more than a day"
        assert [row.id for row in all_of(ledger, Worker)] == [worker]
        newcomer = enter(ledger)
        assert [row.id for row in all_of(ledger, Worker)] == [newcomer]

    def test_a_worker_that_slept_for_a_day_is_entered_again(self, ledger: Ledger) -> None:
        worker = enter(ledger)
        with ledger.write() as session:
            session.execute(update(Worker).values(beat_at=now(-presence.KEEP - 1)))
        newcomer = enter(ledger)
        assert beat(ledger, worker, "2") is False
        assert set(seen(ledger)) == {worker, newcomer}
        row = seen(ledger)[worker]
        assert (row.state, row.lanes, row.slots) == (WorkerState.IDLE, ["standard"], 2)
        assert row.facts == {"fimq": "2"}


class TestStats:
    def test_an_empty_ledger_has_nothing_to_tell(self, ledger: Ledger) -> None:
        empty = told(ledger)
        nothing = [LaneStats(lane, 0, 0, None, 0, 0, 0, 0, 0) for lane in LANES]
        assert empty == Stats(3600, nothing, {}, {}, 0.0, {}, 0)
        assert empty.no_face_rate is None

    def test_each_lane_tells_what_waits_and_what_ended(self, ledger: Ledger) -> None:
        worker = enter(ledger, slots=3)
        submit(ledger, 1, lane="archive")
        claim(ledger, submit(ledger, 2, lane="archive"), worker)
        judge(ledger, claim(ledger, submit(ledger, 3), worker), "not_applicable", "no_face")
        judge(ledger, claim(ledger, submit(ledger, 4), worker), "uncertain", "low_coverage")
        judge(ledger, claim(ledger, submit(ledger, 5), worker), "manipulated", None)
        failed = claim(ledger, submit(ledger, 6, lane="urgent"), worker)
        completion.fail_step(ledger, failed, NotAVideo(), final=True, executions=3, wait=0)
        assert completion.cancel(ledger, submit(ledger, 7, lane="urgent").job_id)

        found = told(ledger)
        urgent, standard, archive = found.lanes
        assert (archive.queued, archive.running) == (1, 1)
        assert (archive.steps_ready, archive.steps_claimed) == (1, 1)
        assert archive.oldest_s is not None
        assert 0 <= archive.oldest_s < 60
        assert (standard.done, standard.oldest_s) == (3, None)
        assert (urgent.failed, urgent.cancelled, urgent.queued) == (1, 1, 0)
        assert found.outcomes == {"no_face": 1, "uncertain": 1, "manipulated": 1}
        assert found.no_face_rate == pytest.approx(1 / 3)
        assert found.failures == {"not_a_video": 1}
        assert found.video_s == pytest.approx(3 * 90.5)
        assert (found.workers, found.slots) == ({"working": 1}, 3)

    @pytest.mark.parametrize("odd", ["a\0b", "a\ud800b"])
    def test_odd_metadata_of_one_video_hides_no_figure(self, ledger: Ledger, odd: str) -> None:
        worker = enter(ledger)
        judge(ledger, claim(ledger, submit(ledger, 1), worker), "uncertain", "low_coverage")
        held = claim(ledger, submit(ledger, 2), worker)
        probe = {"duration_s": 90.5, "tags": {odd: [odd]}, "title": odd}
        judge(ledger, held, "uncertain", "low_coverage", probe)
        assert told(ledger).video_s == pytest.approx(2 * 90.5)

    def test_what_ended_before_the_window_is_not_counted(self, ledger: Ledger) -> None:
        worker = enter(ledger)
        judge(ledger, claim(ledger, submit(ledger, 1), worker), "uncertain", "low_coverage")
        with ledger.write() as session:
            session.execute(update(Job).values(ended_at=now(-100)))
        past = told(ledger, window=99)
        assert (past.outcomes, past.video_s, past.lanes[1].done) == ({}, 0.0, 0)
        assert told(ledger, window=200).lanes[1].done == 1

    def test_a_lane_that_this_version_does_not_know_is_told_too(self, ledger: Ledger) -> None:
        submit(ledger, 1, lane="training")
        assert [lane.lane for lane in told(ledger).lanes] == [*LANES, "training"]
