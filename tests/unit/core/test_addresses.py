"""Addresses: what may be one, what is refused, and that no word of a password is repeated."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from fimq import addresses, logs
from fimq.doorbell import CeleryDoorbell, make_app
from fimq.errors import FimqError
from fimq.ledger.database import Ledger
from fimq.settings import SettingsInvalid, load_settings
from fimq_api import doctor
from fimq_api.cli.main import main

#: Nobody listens at that port.
SHAPES = {
    "FIMQ_LEDGER_URL": "postgresql://them:{}@127.0.0.1:1/videos",
    "FIMQ_BROKER_URL": "redis://:{}@127.0.0.1:1/0",
    "FIMQ_STORE_URL": "s3://AKIA:{}@bucket/videos",
}


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://fimq:word@db.example/fimq",
        "postgres://fimq:word@db.example/fimq",
        "postgresql+psycopg://fimq:p%40ss%2Fword@[::1]:5432/fimq?sslmode=require",
        "postgresql:///fimq?host=/run/postgresql",
        "postgresql://fimq:a:b@/fimq",
        "sqlite:////var/lib/me@home/ledger.sqlite3",
    ],
)
def test_a_ledgers_url(url: str) -> None:
    assert addresses.ledger_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "redis://queue",
        "rediss://user:p%23ss@queue:6380/1",
        "redis+socket:///run/redis.sock?virtual_host=1",
    ],
)
def test_a_queues_url(url: str) -> None:
    assert addresses.queue_url(url) == url


@pytest.mark.parametrize("url", ["file:///mnt/me@home/videos", "s3://bucket", "s3://bucket/a/b"])
def test_a_stores_url(url: str) -> None:
    assert addresses.store_url(url) == url


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("FIMQ_LEDGER_URL", "mysql://u:hunter2@db/fimq", addresses.LEDGER_FORMS),
        ("FIMQ_LEDGER_URL", "postgresql+asyncpg://u:hunter2@db/x", addresses.LEDGER_FORMS),
        ("FIMQ_LEDGER_URL", "hunter2", addresses.LEDGER_FORMS),
        ("FIMQ_LEDGER_URL", "sqlite://", addresses.LEDGER_FORMS),
        ("FIMQ_LEDGER_URL", "sqlite:///:memory:", addresses.LEDGER_FORMS),
        ("FIMQ_LEDGER_URL", "postgresql://u:hunter2@db:word/x", "%40"),
        ("FIMQ_LEDGER_URL", "postgresql://u:hun@ter2@127.0.0.1/db", "@ as %40"),
        ("FIMQ_LEDGER_URL", "postgresql://u:hunter2 @db/x", "%20"),
        ("FIMQ_BROKER_URL", "amqp://user:hunter2@queue/", addresses.QUEUE_FORMS),
        ("FIMQ_BROKER_URL", "queue:6379", addresses.QUEUE_FORMS),
        ("FIMQ_BROKER_URL", "redis://:hunter2@/0", addresses.QUEUE_FORMS),
        ("FIMQ_BROKER_URL", "redis+socket://", addresses.QUEUE_FORMS),
        ("FIMQ_BROKER_URL", "redis://:hun/ter2@queue/0", "/ as %2F"),
        ("FIMQ_BROKER_URL", "redis://:hun#ter2@queue/0", "# as %23"),
        ("FIMQ_BROKER_URL", "redis://:hun?ter2@queue/0", "? as %3F"),
        ("FIMQ_STORE_URL", "ftp://somewhere", addresses.STORE_FORMS),
        ("FIMQ_STORE_URL", "/mnt/videos", addresses.STORE_FORMS),
        ("FIMQ_STORE_URL", "file://", addresses.STORE_FORMS),
        ("FIMQ_STORE_URL", "file://mnt/videos", addresses.STORE_FORMS),
        ("FIMQ_BROKER_URL", "redis://:secret@queue:6379/zz", addresses.QUEUE_FORMS),
        ("FIMQ_BROKER_URL", "redis://queue:6379/0/1", addresses.QUEUE_FORMS),
        ("FIMQ_STORE_URL", "s3://AKIA:hunter2@bucket/videos", "AWS_... variables"),
        ("FIMQ_STORE_URL", "s3://bucket?secret=hunter2", "bucket and a prefix only"),
    ],
)
def test_what_is_none_is_refused_with_what_is(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
    says: str,
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        main(["list"])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith(f"error: {name}: ")
    assert says in said.splitlines()[0]
    assert "[settings_invalid]" in said
    assert "hunter2" not in said


def _said(name: str, url: str, patch: pytest.MonkeyPatch) -> str:
    """All that fimq says, causes included, of a URL whose server is not there."""
    with patch.context() as one:
        one.setenv(name, url)
        try:
            read = load_settings()
        except SettingsInvalid as error:
            return _chain(error)
    words = [logs.redact(f"cannot reach {url} ...")]
    words += [f"{found.says} {found.hint}" for found in doctor.services(read)]
    for attempt in (
        lambda: Ledger(read.ledger).schema(),
        lambda: CeleryDoorbell(make_app(read)).ring("step", "standard"),
    ):
        try:
            attempt()
        except FimqError as error:
            words.append(_chain(error))
    return "\n".join(words)


def _chain(error: BaseException | None) -> str:
    words = []
    while error is not None:
        words.append(f"{type(error).__name__}: {error}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(words)


#: What URLs, their readers and their servers take for something else, and some plain letters.
_AWKWARD = "/@:#?%[] &='\"\\\u00e4\u2100\uff20\u5b57QXZJ"
_PASSWORDS = st.text(st.sampled_from(_AWKWARD) | st.characters(codec="utf-8"), max_size=16)


@pytest.fixture(params=SHAPES)
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A variable that holds a URL, in an installation of one's own."""
    monkeypatch.setenv("FIMQ_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("FIMQ_STATE_DIR", str(tmp_path))
    return str(request.param)


@pytest.fixture
def usual(name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is said of every password, good or bad."""
    return "".join(_said(name, SHAPES[name].format(one), monkeypatch) for one in ("p", "p@", " "))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example("pa@ssword")
@example("/QXZJ@word")
@example("QXZJ\u2100\u5b57QXZJ")
@example("[QXZJ")
@example("QXZJ QXZJ")
@example("%00QXZJ%2F%40")
@example("%20%00")
@given(_PASSWORDS | _PASSWORDS.map(partial(quote, safe="")))
def test_no_piece_of_a_password_is_ever_said(
    monkeypatch: pytest.MonkeyPatch, name: str, usual: str, written: str
) -> None:
    assume("\x00" not in written)
    said = _said(name, SHAPES[name].format(written), monkeypatch)
    for text in {written, unquote(written)}:
        for piece in {text[start : start + 4] for start in range(len(text) - 3)}:
            assert piece in usual or piece not in said, said
