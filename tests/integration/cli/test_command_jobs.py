"""Commands on jobs that lie in the ledger, without a worker: what they print and ring for."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fimq.cuts import LANE, Cut, CutReport
from fimq.errors import Truncated
from fimq.ledger import claims, completion, cutting, submission
from fimq.ledger.database import Ledger
from fimq.ledger.submission import Content, Request
from fimq_api.cli import watch
from fimq_api.cli.house import House
from fimq_api.cli.main import main
from fimq_migrations.schema import upgrade

VIDEO = Content("a" * 64, 10, "aa/aa/" + "a" * 64, "a:smile:.mp4")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ledger(tmp_path: Path):
    opened = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    upgrade(opened)
    yield opened
    opened.close()


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    steps: list[str] = []
    monkeypatch.setattr(House, "ring", lambda _, made: steps.extend(step for step, _ in made))
    monkeypatch.setattr(House, "check_worker", lambda _: None)
    return steps


@pytest.fixture
def run(
    tmp_path: Path,
    rung: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    monkeypatch.setenv("FIMQ_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("FIMQ_STATE_DIR", str(tmp_path))

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return call


def failed(ledger: Ledger) -> str:
    made = submission.submit(ledger, VIDEO, Request(rescan=True))
    held = claims.claim(ledger, made.step_id or "", "w", 30)
    assert held
    completion.fail_step(ledger, held, Truncated(), final=True, executions=3, wait=0)
    return made.job_id


def test_a_job_that_is_not_retried_keeps_no_other_from_it(ledger, run, rung) -> None:
    first, second = failed(ledger), failed(ledger)
    submission.retry(ledger, first)
    status, out, err = run("retry", first, second)
    assert status == 2
    assert "[wrong_state]" in err
    assert len(out.splitlines()) == len(rung) == 1


def test_failures_are_counted_beyond_the_limit(ledger, run) -> None:
    for _ in range(3):
        failed(ledger)
    _, out, _ = run("list", "--failed", "--limit", "1")
    assert "3  truncated" in out
    assert run("list", "--state", "done", "--failed")[0] == 2


def test_times_in_json_have_one_form(ledger, run) -> None:
    job = failed(ledger)
    listed = json.loads(run("list", "--json")[1])
    shown = json.loads(run("show", job, "--json")[1])
    assert listed["created_at"] == shown["created_at"]


def test_a_name_is_printed_as_it_is(ledger, run) -> None:
    made = submission.submit(ledger, VIDEO, Request())
    assert VIDEO.name in run("show", made.job_id)[1]


def test_a_job_that_cuts_crops_says_so(ledger, run) -> None:
    request = Request(lane=LANE, model="", policy="", cut=Cut())
    made = submission.submit(ledger, VIDEO, request)
    held = claims.claim(ledger, made.step_id or "", "w", 30)
    assert held
    assert json.loads(run("show", made.job_id, "--json")[1])["cut"]["crops"] is None
    assert f"{VIDEO.name}: running" in run("show", made.job_id)[1]
    report = CutReport("bb/bb/b", "b" * 64, 2048, 30, 12, "h264", still=False, fimq="0.1.0")
    cutting.complete_cut(ledger, held, report)
    out = run("show", made.job_id)[1]
    assert "12 faces in 30 samples" in out
    assert "there is no verdict and no score" in " ".join(out.split())
    assert "crops cut: 12 faces" in run("list")[1]
    assert json.loads(run("list", "--json")[1])["outcome"] is None
    assert "crops cut: 12 faces in 30 samples" in run("watch", made.job_id)[1]
    failed(ledger)
    table = run("watch", "--json", made.job_id)[1]
    assert json.loads(table)["cut"]["bundle"]["bytes"] == 2048
    status, _, err = run("retry", made.job_id)
    assert (status, "[wrong_state]" in err) == (2, True)


def test_who_watches_may_let_go_of_the_terminal_and_not_of_the_job(
    ledger, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = submission.submit(ledger, VIDEO, Request())

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(watch, "wait", interrupted)
    status, _, err = run("watch", made.job_id)
    assert status == 130
    assert f"The work goes on; follow it with: fimq watch {made.job_id[:13]}" in err


def test_who_watches_for_a_time_gets_what_is_known(ledger, run) -> None:
    made = submission.submit(ledger, VIDEO, Request())
    status, out, err = run("watch", made.job_id, "--json", "--timeout", "0")
    assert status == 4
    assert "[wait_timed_out]" in err
    assert json.loads(out)["state"] == "queued"


def test_a_known_verdict_has_the_date_when_it_was_made(ledger, run) -> None:
    request = Request(package_sha256="m", policy_version=1)
    made = submission.submit(ledger, VIDEO, request)
    held = claims.claim(ledger, made.step_id or "", "w", 30)
    assert held
    columns = {
        "outcome": "not_applicable", "reason": "no_face", "score": None, "coverage": 1.0,
        "counts": {"samples_planned": 1, "samples_decoded": 1, "samples_with_faces": 0},
        "segments": [],
        "model": {"sha256": "m", "package_sha256": "m", "name": "tiny", "version": "1"},
        "policy": {"version": 1}, "sampling": "every:25", "runtime": {}, "versions": {},
        "notes": [], "created_at": datetime(2020, 2, 2, tzinfo=UTC),
    }  # fmt: skip
    assert completion.complete_job(ledger, held, lambda *_: (columns, [], {}), samples=1)
    again = submission.submit(ledger, VIDEO, request)
    assert again.reused_from == made.job_id
    assert "known since 2020-02-02" in run("watch", again.job_id)[1]
