"""Fixtures for every tier: a ledger of one's own, settings that touch nothing of the user's."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from platformdirs import user_data_path

from fimq.ledger.database import Ledger
from fimq.settings import Settings
from services.postgres import PostgresServer, running_server
from services.s3 import Bucket, Gateway, s3_server

# Found before any test hides the user's folders.
_FACE_MODELS = Path(
    os.environ.get("FIMQ_FACE_MODELS") or user_data_path("fimq") / "face-models"
).absolute()


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """No FIMQ_ variable of the caller reaches a test."""
    for name in list(os.environ):
        if name.startswith("FIMQ_") and name != "FIMQ_TEST_DATA":
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _no_real_time_thread() -> Iterator[None]:
    """Whatever a test starts would inherit it, and starve the machine."""
    yield
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@pytest.fixture(scope="session")
def face_models() -> Path:
    """The folder of the face models; `make test` fetches them."""
    if not any(_FACE_MODELS.glob("*.tflite")):
        pytest.fail(f"no face models in {_FACE_MODELS}; run: fimq models fetch")
    return _FACE_MODELS


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """A short folder: the path of a Unix socket has 107 characters."""
    with tempfile.TemporaryDirectory(prefix="fimq-") as folder:
        yield Path(folder)


@pytest.fixture
def settings(tmp_path: Path, state_dir: Path, face_models: Path) -> Settings:
    """Settings of a private installation that ends with the test."""
    return Settings(data_dir=tmp_path / "data", state_dir=state_dir, face_models_dir=face_models)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this test process."""
    yield from running_server()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, once of each kind that a ledger lies in."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = server.create_database()
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """As `database`, with the newest schema."""
    if request.param == "sqlite":
        from fimq_migrations.schema import upgrade

        url = f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
        made = Ledger(url)
        upgrade(made)
        made.close()
        yield url
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = server.migrated_database()
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    """An empty ledger with the newest schema, on each kind of database."""
    opened = Ledger(ledger_url, pool_size=20)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def s3_gateway() -> Iterator[Gateway]:
    """A server that speaks S3, behind a gateway that counts and breaks."""
    with s3_server() as gateway:
        yield gateway


@pytest.fixture
def bucket(s3_gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty bucket that the environment's credentials open."""
    for name, value in s3_gateway.environment.items():
        monkeypatch.setenv(name, value)
    with s3_gateway.bucket() as made:
        yield made
