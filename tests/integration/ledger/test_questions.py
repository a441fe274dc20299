"""What the ledger asks of its database: one moment a reader, few questions, none that read all."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event, func, insert, select, text

from fimq.errors import FimqError, UsageError
from fimq.identifiers import id_range, new_id
from fimq.ledger import completion, reading, submission
from fimq.ledger.database import Ledger
from fimq.ledger.tables import Face, Job, Step
from scenes import REQUEST, all_of, content, job_of, rows, submitted, taken, verdict

FACE = {
    "ordinal": 0, "box": [0, 0, 1, 1], "detector_score": 1.0, "quality": 1.0,
    "skipped": None, "track": None, "score": None, "class_scores": None,
}  # fmt: skip


def on_postgresql(ledger: Ledger) -> bool:
    return ledger.url.get_backend_name() == "postgresql"


def test_a_reader_sees_one_moment(ledger: Ledger) -> None:
    count = select(func.count()).select_from(Job)
    with ledger.read() as session:
        assert session.scalar(count) == 0
        submitted(ledger)
        assert session.scalar(count) == 0
    with ledger.read() as session:
        assert session.scalar(count) == 1


def test_an_id_is_found_by_its_beginning_without_reading_every_job(ledger: Ledger) -> None:
    """On PostgreSQL words are ordered by a language here, as on most servers: LIKE reads all."""
    submitted(ledger)
    with ledger.write() as session:
        row = session.execute(select(Job.__table__)).mappings().one()
        copies = [{**row, "id": new_id(), "idempotency_key": None} for _ in range(3000)]
        session.execute(insert(Job), copies)
        session.execute(text("ANALYZE jobs" if on_postgresql(ledger) else "ANALYZE"))
    asked: list[str] = []

    def explain(_c: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "BETWEEN" in statement:
            how = "EXPLAIN" if on_postgresql(ledger) else "EXPLAIN QUERY PLAN"
            cursor.execute(f"{how} {statement}", parameters)
            asked.append(str(cursor.fetchall()))

    event.listen(ledger.engine, "before_cursor_execute", explain)
    with ledger.read() as session:
        assert reading.find_job(session, copies[7]["id"][:13]).id == copies[7]["id"]
    (plan,) = asked
    assert "Index" in plan or "USING INDEX" in plan
    assert "Seq Scan" not in plan
    assert "SCAN jobs" not in plan


def test_a_beginning_is_that_of_an_id_only_in_its_form() -> None:
    assert id_range("0198f2ab-3c4d") is not None
    for other in ("", "0198f2ab3", "-0198", "0198f2ag", "0198F2", "0" * 37, "clip", "'"):
        assert id_range(other) is None


def test_a_name_is_found_as_it_is_written(ledger: Ledger) -> None:
    job, _ = submitted(ledger, 1)
    with ledger.read() as session:
        assert reading.find_job(session, "clip1").id == job
        for other in ("CLIP1", "clip_", "cl%"):
            with pytest.raises(FimqError, match="no job"):
                reading.find_job(session, other)


def test_the_tracks_of_all_faces_are_one_statement(ledger: Ledger) -> None:
    """A video of 12 hours has 43 200 samples: a statement a face took minutes."""
    held = taken(ledger, submitted(ledger)[1])
    count = 2000
    sample = rows(0).samples[0]
    found = completion.SegmentRows(
        [{**sample, "frame_index": number} for number in range(count)],
        [{**FACE, "frame_index": number} for number in range(count)],
        {},
    )

    def judge(*_: Any) -> Any:
        columns, tracks, _none = verdict()
        return columns, tracks, {(number, 0): number % 3 for number in range(count)}

    asked: list[str] = []
    event.listen(ledger.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    assert completion.complete_job(ledger, held, judge, rows=found, samples=count)
    assert len(asked) < 30
    assert {face.track for face in all_of(ledger, Face)} == {0, 1, 2}


def test_what_is_missing_is_null_and_not_the_word(ledger: Ledger) -> None:
    held = taken(ledger, submitted(ledger)[1])
    found = completion.SegmentRows(rows(0).samples, [{**FACE, "frame_index": 0}], {"seen": "\0"})
    assert completion.complete_job(ledger, held, verdict, rows=found, samples=1)
    with ledger.read() as session:
        assert session.scalar(select(func.count()).where(Face.class_scores.is_(None))) == 1
    assert all_of(ledger, Step)[0].report == {"seen": "\0"}


def test_an_error_of_any_text_is_kept(ledger: Ledger) -> None:
    held = taken(ledger, submitted(ledger)[1])
    error = FimqError("moov\0box \udcff")
    completion.fail_step(ledger, held, error, final=True, executions=3, wait=0)
    assert job_of(ledger, held.job_id).error_detail == "moov\N{REPLACEMENT CHARACTER}box ?"


def test_a_key_is_as_long_as_its_column(ledger: Ledger) -> None:
    assert submission.submit(ledger, content(1), REQUEST, idempotency_key="k" * 255).created
    with pytest.raises(UsageError, match="255"):
        submission.submit(ledger, content(1), REQUEST, idempotency_key="k" * 256)
