"""A command that meets trouble says it in one line with a code, and never as a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

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
