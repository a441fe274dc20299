"""What the doctor says of ledger, queue, workers and store: once, in short, and never "ask me"."""

from __future__ import annotations

from pathlib import Path

import pytest

from fimq.errors import FimqError
from fimq.ledger import presence
from fimq.settings import Settings
from fimq_api import doctor
from fimq_api.doctor import Finding
from services.postgres import PostgresServer
from services.redis import free_port


@pytest.fixture
def found(tmp_path: Path, state_dir: Path):
    def look(**told: str) -> dict[str, Finding]:
        settings = Settings(data_dir=tmp_path / "data", state_dir=state_dir, **told)
        return {finding.what: finding for finding in doctor.services(settings)}

    return look


def test_a_ledger_that_is_away_is_said_once_and_in_short(found) -> None:
    port = free_port()
    says = found(
        ledger_url=f"postgresql://them:word@127.0.0.1:{port}/videos",
        broker_url=f"redis://127.0.0.1:{port}",
    )
    shown = f"postgresql://***@127.0.0.1:{port}/videos"
    assert says["ledger"] == Finding(
        "ledger",
        "bad",
        f"cannot use the ledger at {shown}: Connection refused",
        "Check FIMQ_LEDGER_URL, and that its server runs.",
    )
    assert says["workers"].state == "note"
    assert "refused" not in says["workers"].says


def test_a_refusal_of_the_server_is_its_own_words(postgres: PostgresServer, found) -> None:
    says = found(ledger_url=postgres.url("nowhere"))["ledger"].says
    assert says.endswith('/nowhere: database "nowhere" does not exist')


def test_before_its_first_worker_an_installation_is_not_broken(ledger, ledger_url, found) -> None:
    told = {"ledger_url": ledger_url, "broker_url": f"redis://127.0.0.1:{free_port()}"}
    assert found(**told)["workers"] == Finding(
        "workers", "note", "none was started yet", "Start one: fimq worker"
    )
    worker = presence.register(ledger, lanes=["standard"], slots=1, facts={})
    assert found(**told)["workers"].state == "ok"
    presence.leave(ledger, worker)
    assert found(**told)["workers"].state == "bad"


def test_the_schema_of_a_server_that_has_none_is_made_by_hand(database, found) -> None:
    says = found(ledger_url=database)["ledger"]
    assert (says.state, says.hint) == ("bad", "Run: fimq db upgrade")


@pytest.mark.parametrize("code", [code for code, cls in FimqError.registry.items() if cls.hint])
def test_no_advice_in_the_doctor_is_to_ask_the_doctor(code: str) -> None:
    error = FimqError.registry[code]()
    assert "fimq doctor" not in doctor.of_error("any", error).hint


def test_a_misspelt_variable_is_said(monkeypatch) -> None:
    monkeypatch.setenv("FIMQ_LEGDER_URL", "postgresql://them@there/videos")
    says = [finding for finding in doctor.variables([]) if "LEGDER" in finding.says]
    assert [(finding.state, finding.hint) for finding in says] == [
        ("note", "Did you mean FIMQ_LEDGER_URL?")
    ]
