"""A command that meets trouble says it in one line with a code, and never as a traceback."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from fimq.identifiers import short
from fimq.ledger import presence
from fimq.ledger.database import Ledger
from fimq.ledger.tables import Worker
from fimq_api.cli import config
from fimq_api.cli.main import main


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("FIMQ_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FIMQ_STATE_DIR", str(tmp_path / "state"))

    def call(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        return int(ended.value.code or 0), capsys.readouterr().err

    return call


def test_a_damaged_ledger(run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ledger.sqlite3").write_bytes(b"no database " * 500)
    status, said = run("list")
    assert status == 5
    assert "[ledger_damaged]" in said
    assert run("down")[0] == 0, "what runs must be stoppable without a ledger"


def test_a_folder_that_cannot_be_used(run, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"")
    status, said = run("list")
    assert (status, "[ledger_unreachable]" in said) == (5, True)


def test_a_state_folder_that_cannot_be_used(run, tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"")
    for command in ("up", "down"):
        status, said = run(command)
        assert (status, "[state_unusable]" in said) == (5, True), said


def test_what_nobody_foresaw(run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(config, "load_settings", broken)
    status, said = run("config")
    assert status == 1
    assert said.splitlines()[0] == "error: ZeroDivisionError: by zero  [unexpected_error]"
    assert "Traceback" not in said
    monkeypatch.setenv("FIMQ_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(["config"])


@pytest.mark.parametrize("empty", ["", " "])
def test_nobody_is_asked_to_drain_by_no_id(run, empty: str) -> None:
    status, said = run("worker", "--drain", empty)
    assert (status, said.splitlines()) == (
        2,
        ["error: --drain takes the id of a worker, and got none; see: fimq workers  [usage]"],
    )


@pytest.mark.parametrize("given", [(), ("--for", ""), ("--for", " , ")])
def test_engines_are_built_for_a_card_that_is_named(run, given: tuple[str, ...]) -> None:
    status, said = run("engines", "build", *given)
    assert (status, said.splitlines()) == (
        2,
        [
            "error: --for is missing: which cards? As in: fimq engines build --for SM89  [usage]",
        ],
    )


def test_an_empty_engine_cache_says_how_to_fill_it(run, tmp_path: Path) -> None:
    status, said = run("engines", "list")
    folder = tmp_path / "data" / "engines"
    assert status == 0
    assert said == f"no engines in {folder}; build one with: fimq engines build --for SM89\n"
    assert run("engines", "list", "--json") == (0, "")


def test_when_all_workers_have_left_the_last_one_is_named(run, tmp_path: Path) -> None:
    assert run("workers")[1] == "No worker is known; start one: fimq worker\n"
    ledger = Ledger(f"sqlite:///{tmp_path / 'data' / 'ledger.sqlite3'}")
    try:
        first, last = (
            presence.register(ledger, lanes=["standard"], slots=1, facts={}) for _ in range(2)
        )
        # Who left last is who stopped last, not who came last.
        for each, stopped_at in ((last, "2026-01-02 03:04"), (first, "2026-01-02 05:06")):
            with ledger.write() as session:
                session.get_one(Worker, each).stopped_at = datetime.fromisoformat(
                    f"{stopped_at}+00:00"
                )
    finally:
        ledger.close()
    said = run("workers")[1]
    assert said.startswith(f"No worker is left: {short(first)} (")
    assert said.endswith("stopped at 2026-01-02 05:06 UTC; start one: fimq worker\n")
    status, said = run("worker", "--drain", last)
    assert status == 2
    assert f"worker {short(last)} has stopped already, at 2026-01-02 03:04 UTC" in said
    assert "no worker's id begins with 'nobody'" in run("worker", "--drain", "nobody")[1]
