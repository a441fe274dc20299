"""The cutter: a video in the store becomes a bundle there, whole or not at all."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import awkward
from fimq.cuts import LANE, Cut
from fimq.errors import ScratchUnusable, WorkersDiffer
from fimq.intake import take_in
from fimq.ledger import claims, completion, cutting, presence, submission
from fimq.ledger.database import Ledger
from fimq.ledger.submission import Request
from fimq.ledger.tables import Job, Step, Video
from fimq.settings import Settings
from fimq.store.base import open_store
from fimq_migrations.schema import upgrade
from fimq_worker import bundle
from fimq_worker.child.client import DecodeChild
from fimq_worker.holding import Held, Stopped
from fimq_worker.measures import Measures
from fimq_worker.steps import cutter, headway, scratch
from fimq_worker.steps.analysis import Analyst
from scenes import all_of

CUT = Cut(every=10)


class Desk:
    """An installation with one worker's analyst and one film."""

    def __init__(self, settings: Settings, analyst: Analyst, film: Path) -> None:
        self.settings, self.analyst, self.ledger = settings, analyst, analyst.ledger
        self.store = analyst.store
        self.content = take_in(film, self.store, limit=10**9)
        self.worker = presence.register(self.ledger, lanes=[LANE], slots=1, facts={})

    def held(self, cut: Cut = CUT) -> Held:
        request = Request(lane=LANE, model="", policy="", cut=cut)
        made = submission.submit(self.ledger, self.content, request)
        return Held(self.claimed(made.step_id or ""))

    def claimed(self, step_id: str) -> claims.Claim:
        claim = claims.claim(self.ledger, step_id, self.worker, 30)
        assert claim
        return claim

    def objects(self) -> set[str]:
        """What is in the store beside the film."""
        folder = self.settings.data_dir / "store"
        files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        return files - {self.content.store_key}

    def report(self, held: Held) -> Any:
        with self.ledger.read() as session:
            return cutting.report_of(session, held.claim.job_id)


@pytest.fixture
def desk(settings: Settings, tmp_path: Path) -> Iterator[Desk]:
    film = tmp_path / "film.mp4"
    film.write_bytes(awkward.film_bytes())
    ledger = Ledger(settings.ledger)
    upgrade(ledger)
    store = open_store(settings.store, **settings.store_options)
    with Analyst(settings, ledger, store, Measures()) as analyst:
        yield Desk(settings, analyst, film)
    ledger.close()


def test_the_bundle_has_the_crops_and_the_job_is_done_by_it(desk: Desk) -> None:
    held = desk.held()
    assert desk.analyst.cutter.cut(held) == []
    report = desk.report(held)
    assert (report.samples, report.crops, report.codec, report.still) == (4, 4, "h264", False)
    assert desk.objects() == {report.key}
    with desk.store.open(report.key, report.sha256) as file:
        samples = list(bundle.read(file).samples)
    assert [sample.frame for sample in samples] == [0, 10, 20, 30]
    assert all(face.png.startswith(b"\x89PNG") for sample in samples for face in sample.faces)
    (job,), (step,), (video,) = (all_of(desk.ledger, table) for table in (Job, Step, Video))
    assert (job.state, job.package_sha256, step.state) == ("done", None, "done")
    assert video.probe["codec"] == "h264"
    assert desk.analyst.classifiers.facts() == {}


def test_another_worker_that_cuts_the_same_makes_the_same_bundle(desk: Desk) -> None:
    """One that comes late does not take it away."""
    late = desk.held()
    claims.give_back(desk.ledger, late.claim)
    held = Held(desk.claimed(late.claim.step_id))
    desk.analyst.cutter.cut(held)
    with pytest.raises(Stopped):
        desk.analyst.cutter._end(late, desk.analyst.cutter._made(late, CUT))
    assert desk.objects() == {desk.report(held).key}


@pytest.mark.parametrize("moment", ["in the middle", "at the end"])
def test_a_job_that_is_cancelled_leaves_no_bundle(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    held = desk.held()

    def cancel_then(do: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            completion.cancel(desk.ledger, held.claim.job_id)
            return do(*arguments, **named)

        return call

    monkeypatch.setattr(headway, "PROGRESS_S", 0.0)
    if moment == "in the middle":
        monkeypatch.setattr(cutter, "cut_faces", cancel_then(cutter.cut_faces))
    else:
        monkeypatch.setattr(cutting, "complete_cut", cancel_then(cutting.complete_cut))
    with pytest.raises(Stopped):
        desk.analyst.cutter.cut(held)
    assert desk.objects() == set()


def test_a_worker_with_other_settings_cuts_nothing(desk: Desk) -> None:
    with pytest.raises(WorkersDiffer, match="min_face is 48 at this worker, and 60"):
        desk.analyst.cutter.cut(desk.held(replace(CUT, min_face=60)))
    assert desk.objects() == set()


def test_a_full_disk_is_the_workers_and_not_the_videos(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch.tempfile, "TemporaryFile", lambda: open("/dev/full", "w+b"))  # noqa: SIM115, PTH123 - closed by the scratch room
    with pytest.raises(ScratchUnusable):
        desk.analyst.cutter.cut(desk.held())
    assert desk.objects() == set()


def test_a_scratch_folder_that_is_not_there_is_the_workers(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(scratch.tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(ScratchUnusable, match="No such file"):
        desk.analyst.cutter.cut(desk.held())


@pytest.mark.parametrize("whose", ["child", "store"])
def test_what_child_and_store_cannot_do_is_not_the_scratch_folders(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    if whose == "child":
        monkeypatch.setattr(DecodeChild, "analyse", fail)
    else:
        monkeypatch.setattr(desk.store, "put", fail)
    with pytest.raises(BrokenPipeError):
        desk.analyst.cutter.cut(desk.held())
