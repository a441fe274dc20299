"""A promotion, or its rollback, amid work: every video by one model, no job lost, no restart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from awkward import FILM
from fimq.ledger.tables import Job, Model, Step, VerdictRow
from installation import PATIENCE_S, Installation, installed, until, worker_of
from tinymodel import SEES_BLUE, weights, write_package

#: Every frame of it is looked at, in segments of a second.
LONG = replace(FILM, frames=700, gop=25)


@dataclass
class Site:
    """An installation with two versions of a model, the first of them promoted."""

    installation: Installation
    long: Path
    short: Path

    def change(self, *arguments: str) -> dict[str, Any]:
        """`fimq models ...`, with what it says."""
        (said,) = self.installation.documents("models", *arguments)
        return said

    def begin(self) -> str:
        """Submit the long film; returns its job, some segments of which are done."""
        (document,) = self.installation.documents("submit", self.long, "--every", "1", "--rescan")
        job: str = document["job_id"]
        until(lambda: self.segments(job).count("done") >= 2, "the first segments")
        return job

    def segments(self, job: str) -> list[str]:
        return [step.state for step in self.installation.steps(job) if step.kind == "segment"]

    def judged_meanwhile(self, job: str) -> dict[str, Any]:
        """The short film's document, judged while the long one was in work."""
        assert {"ready", "claimed"} & set(self.segments(job)), "the long film ended too early"
        ask = ("--lane", "urgent", "--rescan")
        (document,) = self.installation.judge(self.short, options=ask)
        return document

    def ended(self, job: str) -> dict[str, Any]:
        (document,) = self.installation.documents("watch", job)
        return document


@pytest.fixture
def site(tmp_path: Path, face_models: Path) -> Iterator[Site]:
    one = write_package(tmp_path / "one", matrix=SEES_BLUE)
    two = write_package(tmp_path / "two", version="2", matrix=weights(2))
    with installed(tmp_path, face_models, FIMQ_SEGMENT_SECONDS="1") as installation:
        for folder in (one, two):
            installation.documents("models", "import", folder)
        made = Site(
            installation, LONG.write(tmp_path / "long.mp4"), FILM.write(tmp_path / "short.mp4")
        )
        made.change("promote", "tiny-binary@1")
        yield made


def version(document: dict[str, Any]) -> str:
    assert document["state"] == "done", document["error"]
    found: str = document["model"]["version"]
    return found


def test_what_is_in_work_keeps_its_model_and_what_comes_next_gets_the_new_one(site: Site) -> None:
    installation = site.installation
    with worker_of(installation) as worker:
        job = site.begin()
        assert site.change("promote", "tiny-binary@2")["before"] == "tiny-binary@1"
        assert version(site.judged_meanwhile(job)) == "2"
        assert version(site.ended(job)) == "1"

        again = site.begin()
        assert site.change("rollback")["model"] == "tiny-binary@1"
        assert version(site.judged_meanwhile(again)) == "1"
        assert version(site.ended(again)) == "2"
        assert worker.poll() is None
    assert installation.worker_logs()[0].read_text().count("worker ready") == 1

    packages = {model.version: model.package_sha256 for model in installation.rows(Model)}
    for job_id, number in ((job, "1"), (again, "2")):
        reports = [step.report for step in installation.steps(job_id) if step.report]
        assert len(reports) == len(site.segments(job_id)) > 10
        assert {report["package_sha256"] for report in reports} == {packages[number]}
        assert installation.job(job_id).package_sha256 == packages[number]
    assert {job.state for job in installation.rows(Job)} == {"done"}
    steps = installation.rows(Step)
    assert {(step.executions, step.losses) for step in steps} == {(0, 0)}


def test_a_worker_that_comes_later_goes_on_with_the_model_of_the_video(site: Site) -> None:
    """It never had that one loaded; another has been promoted since."""
    with worker_of(site.installation):
        job = site.begin()
    assert "ready" in site.segments(job)
    site.change("promote", "tiny-binary@2")
    with worker_of(site.installation):
        assert version(site.ended(job)) == "1"
    assert {step.executions for step in site.installation.rows(Step)} == {0}


def test_sixteen_submissions_amid_promotions_are_each_judged_by_one_model(site: Site) -> None:
    installation = site.installation
    folder = installation.folder
    films = [replace(FILM, frames=60 + n).write(folder / f"{n}.mp4") for n in range(16)]
    installation.environment["FIMQ_SEGMENT_SECONDS"] = "0.8"
    changes = (("promote", "tiny-binary@2"), ("rollback",), ("promote", "tiny-binary@2"))
    with worker_of(installation):
        submits = [
            installation.start("submit", *films[half::2], "--every", "1", "--json")
            for half in range(2)
        ]
        for change in changes:
            site.change(*change)
        for submit in submits:
            submit.communicate(timeout=PATIENCE_S)
            assert submit.returncode == 0
        until(lambda: len(installation.rows(Job, state="done")) == 16, "the end of all")
    assert {step.executions for step in installation.rows(Step)} == {0}
    verdicts = installation.rows(VerdictRow)
    assert len(verdicts) == 16
    for verdict in verdicts:
        pinned = installation.job(verdict.job_id).package_sha256
        assert verdict.model["package_sha256"] == pinned
        reports = [step.report for step in installation.steps(verdict.job_id) if step.report]
        assert {report["package_sha256"] for report in reports} == {pinned}


def test_damaged_bytes_judge_nothing_and_fail_nothing_until_they_are_mended(site: Site) -> None:
    installation = site.installation
    installation.environment["FIMQ_RETRY_SECONDS"] = "1"
    (model,) = [row for row in installation.rows(Model) if row.version == "2"]
    path = installation.data_dir / "store" / model.store_key
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    # The worker starts with the sound default; the job asks for the other one.
    with worker_of(installation):
        (document,) = installation.documents("submit", site.short, "--model", "tiny-binary@2")
        (step,) = until(
            lambda: [step for step in installation.steps(document["job_id"]) if step.losses],
            "the worker to refuse the model",
        )
        assert (step.error_code, step.executions) == ("model_damaged", 0)
        ran = installation.run("models", "verify")
        assert ran.returncode == 5
        assert "[model_damaged]" in ran.stderr
        installation.run("models", "import", installation.folder / "two")
        assert version(site.ended(document["job_id"])) == "2"
    assert path.read_bytes() == whole


def test_a_video_that_waits_is_judged_by_what_is_promoted_when_its_turn_comes(site: Site) -> None:
    installation = site.installation
    installation.environment["FIMQ_BROKER_URL"] = "redis://127.0.0.1:1/0"
    installation.run("submit", site.short)
    del installation.environment["FIMQ_BROKER_URL"]
    site.change("promote", "tiny-binary@2")
    (document,) = installation.documents("watch")
    assert version(document) == "2"


def test_a_verdict_is_taken_over_only_from_the_model_that_counts(site: Site) -> None:
    installation = site.installation
    (first,) = installation.judge(site.short)
    (again,) = installation.judge(site.short)
    assert again["reused_from"] == first["job_id"]
    site.change("promote", "tiny-binary@2")
    (other,) = installation.judge(site.short)
    assert (version(other), other["reused_from"]) == ("2", None)
    site.change("rollback")
    (back,) = installation.judge(site.short)
    assert (version(back), back["reused_from"]) == ("1", first["job_id"])


def test_a_request_may_name_a_version_or_another_name(site: Site) -> None:
    site.change("promote", "tiny-binary@2", "--as", "trial")
    for name, number in (("tiny-binary@2", "2"), ("trial", "2"), ("default", "1")):
        (document,) = site.installation.judge(site.short, options=("--model", name, "--rescan"))
        assert version(document) == number
