"""Every row of the table of bad and awkward inputs, through the real command.

All files of a section are submitted at once; each test then looks at one file's end, the
same in `--json`, in the ledger and in the list that people read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from bad_inputs import CHECKED, FAILED, LENGTHS, LIMITS, MODELS, WORKS
from expected import Found, Row
from sqlalchemy import select

from fimq.document import schema
from fimq.ledger.tables import Face, Job, Sample, Step, Track, VerdictRow
from installation import Installation, installed
from tinymodel import SEES_BLUE, make_network, write_package


def rows(*, may_fail: bool = True) -> pytest.MarkDecorator:
    """A test for each row; rows that do not hold yet fail, strictly, where they `may_fail`."""
    return pytest.mark.parametrize(
        "row",
        [
            pytest.param(
                row,
                id=row.name,
                marks=pytest.mark.xfail(strict=True, reason=row.broken)
                if row.broken and may_fail
                else (),
            )
            for row in CHECKED
        ],
    )


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory, face_models: Path) -> Iterator[Judged]:
    folder = tmp_path_factory.mktemp("awkward")
    models = folder / "models"
    write_package(models / "default", matrix=SEES_BLUE)
    write_package(models / "wrong-classes", content=make_network(3))
    write_package(models / "nan", matrix=np.full((3, 2), np.nan, np.float32))
    write_package(models / "other-hash", version="2")
    write_package(models / "short")
    (models / "other-hash" / "model.onnx").write_bytes(make_network(2, last="Softplus"))
    network = models / "short" / "model.onnx"
    network.write_bytes(network.read_bytes()[:-20])
    with installed(folder, face_models, FIMQ_MIN_SAMPLES="6") as installation:
        yield Judged(installation)


class Judged:
    """The ends of all files; a section is submitted when its first row is asked for."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.unmade: dict[str, Exception] = {}
        self.status: dict[str, int] = {}
        self._found: dict[str, Found] = {}
        self._listed: dict[str, str] = {}

    def __getitem__(self, row: Row) -> Found:
        if row.name not in self._found and row.name not in self.unmade:
            self._submit_section_of(row)
        if row.name in self.unmade:
            raise self.unmade[row.name]
        return self._found[row.name]

    def listed(self, row: Row) -> str:
        """The row's line in `fimq list`."""
        if row.name not in self._listed:
            self.installation.environment["COLUMNS"] = "200"
            lines = self.installation.run("list", "--limit", "1000").stdout.splitlines()
            for line in lines:
                for known in CHECKED:
                    if f" {known.name} " in line:
                        self._listed[known.name] = line
        return self._listed[row.name]

    def _submit_section_of(self, row: Row) -> None:
        for table, settings, restarts in (
            ((*FAILED, *WORKS), {}, False),
            (MODELS, {}, False),
            (LENGTHS, {"FIMQ_MIN_SAMPLES": "1"}, False),
            (LIMITS, {"FIMQ_MAX_PIXELS": "121600", "FIMQ_MAX_DURATION": "10"}, True),
        ):
            if row not in table:
                continue
            if restarts:
                self.installation.run("down")
            before = dict(self.installation.environment)
            self.installation.environment |= settings
            for model in {row.model for row in table}:
                self._submit([row for row in table if row.model == model], model)
            self.installation.environment = before

    def _submit(self, table: Sequence[Row], model: str | None) -> None:
        paths = []
        for row in _mixed(table):
            path = self.installation.folder / row.name
            try:
                row.make(path)
            except Exception as error:  # noqa: BLE001 - the row's own test raises it
                self.unmade[row.name] = error
            else:
                paths.append(path)
        ran = self.installation.run(
            *("submit", *paths, "--wait", "--json"), *(("--model", model) if model else ())
        )
        for line in ran.stdout.splitlines():
            document = json.loads(line)
            self.status[document["name"]] = ran.returncode
            self._found[document["name"]] = self._look_up(document)

    def _look_up(self, document: dict[str, Any]) -> Found:
        if "job_id" not in document:
            return Found(document)
        of_job = {"job_id": document["job_id"]}
        ledger = self.installation.ledger()
        with ledger.read() as session:

            def all_of(table: Any, *order: Any) -> list[Any]:
                return list(session.scalars(select(table).filter_by(**of_job).order_by(*order)))

            found = Found(
                document,
                all_of(Sample, Sample.frame_index),
                all_of(Face, Face.frame_index, Face.ordinal),
                all_of(Track, Track.ordinal),
                session.get(VerdictRow, document["job_id"]),
                session.get(Job, document["job_id"]),
                [step.report for step in all_of(Step, Step.ordinal) if step.report],
            )
            session.expunge_all()
        ledger.close()
        return found


def _mixed(table: Sequence[Row]) -> list[Row]:
    """Bad files between good ones."""
    bad = [row for row in table if isinstance(row.ends, str)]
    good = [row for row in table if row not in bad]
    step = max(1, len(good) // (len(bad) + 1))
    for position, row in enumerate(bad):
        good.insert((position + 1) * step + position, row)
    return good


@rows()
def test_a_file_has_the_end_of_its_row(judged: Judged, row: Row) -> None:
    found = judged[row]
    document, job = found.document, found.job
    assert job is not None, document
    jsonschema.validate(document, schema("job"))
    assert document["state"] == job.state
    if isinstance(row.ends, str):
        assert (document["error"] or {}).get("code") == row.ends, document
        assert (job.state, job.error_code) == ("failed", row.ends)
        assert document["outcome"] is document["score"] is found.verdict is None
        assert found.samples == found.faces == []
        assert judged.status[row.name] == 3
        assert f"[{row.ends}]" in judged.listed(row)
        return
    assert document["error"] is job.error_code is None, document
    assert found.verdict is not None
    end = found.verdict.outcome, found.verdict.reason
    assert end == (document["outcome"], document["reason"])
    assert end in row.outcomes, document
    assert document["outcome"].replace("_", " ") in judged.listed(row)
    if row.check is not None:
        assert row.check(found), (document, found.samples, found.faces)


@rows(may_fail=False)
def test_three_rules_hold_over_all_rows(judged: Judged, row: Row) -> None:
    if row.name in judged.unmade:
        pytest.skip("it could not be made")
    found = judged[row]
    document = found.document
    if document["outcome"] == "no_manipulation_found":
        assert document["coverage"] >= 0.95
        assert document["counts"]["faces_scored"] > 0
    if document["reason"] == "no_face":
        assert document["coverage"] >= 0.95
    scored = [face for face in found.faces if face.score is not None]
    assert (document["score"] is None) == (not scored)
    for face in found.faces:
        assert (face.score is None) == (face.class_scores is None) == (face.skipped is not None)
    for number in _numbers(found):
        assert math.isfinite(number)
    damaged = {sample.frame_index for sample in found.samples if sample.state != "ok"}
    assert not any(face.frame_index in damaged for face in found.faces)


def _numbers(found: Found) -> Iterator[float]:
    for face in found.faces:
        yield from (*face.box, face.detector_score, face.quality)
        yield from (face.class_scores or [], [face.score] * (face.score is not None))[0]
        if face.score is not None:
            yield face.score
    for sample in found.samples:
        yield sample.time_s
        yield from sample.quality["colours"]
    for track in found.tracks:
        yield from (track.start_s, track.end_s)
        if track.score is not None:
            yield track.score
    if found.verdict is not None:
        yield found.verdict.coverage
        if found.verdict.score is not None:
            yield found.verdict.score


def test_the_order_in_the_picture_does_not_matter(judged: Judged) -> None:
    one, other = (judged[row] for row in WORKS if row.name.startswith("two-who-swap"))
    assert one.document["outcome"] == other.document["outcome"]
    assert one.document["reason"] == other.document["reason"]
    assert one.document["score"] == pytest.approx(other.document["score"], abs=0.05)


def test_damaged_films_give_the_same_twice(judged: Judged) -> None:
    for name in ("zeroed.mp4", "flipped.mp4"):
        row = next(row for row in WORKS if row.name == name)
        first = judged[row]
        (document,) = judged.installation.judge(
            judged.installation.folder / name, options=("--rescan",)
        )
        again = judged._look_up(document)
        for one, other in zip(
            (*first.samples, *first.faces), (*again.samples, *again.faces), strict=True
        ):
            mine, its = (
                {k: v for k, v in vars(o).items() if k not in ("_sa_instance_state", "job_id")}
                for o in (one, other)
            )
            assert mine == its
