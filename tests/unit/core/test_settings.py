"""Settings: precedence, where a value came from, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from fimq.settings import SettingsInvalid, load_settings, origin, strange_variables


@pytest.fixture
def toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "fimq.toml"
    monkeypatch.setenv("FIMQ_CONFIG", str(path))
    path.write_text("")
    return path


def test_command_line_beats_variable_beats_file_beats_default(toml, monkeypatch) -> None:
    assert (load_settings().every, origin("every")) == (25, "default")
    toml.write_text("every = 10\n")
    assert (load_settings().every, origin("every")) == (10, str(toml))
    monkeypatch.setenv("FIMQ_EVERY", "5")
    assert (load_settings().every, origin("every")) == (5, "FIMQ_EVERY")
    assert load_settings(every=2).every == 2
    assert load_settings(every=None).every == 5


@pytest.mark.parametrize("content", ["evry = 10\n", "every = \n", "every = 'ten'\n", "every = 0\n"])
def test_a_file_that_cannot_be_used_is_named(toml, content) -> None:
    toml.write_text(content)
    with pytest.raises(SettingsInvalid) as caught:
        load_settings()
    assert any(name in str(caught.value) for name in ("fimq.toml", "FIMQ_EVERY"))


def test_a_named_file_that_is_missing_is_an_error(toml) -> None:
    toml.unlink()
    with pytest.raises(SettingsInvalid):
        load_settings()


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch) -> None:
    monkeypatch.setenv("FIMQ_BROKER_URL", "")
    assert load_settings().embedded_queue
    assert origin("broker_url") == "default"


def test_a_bad_variable_is_named(monkeypatch) -> None:
    monkeypatch.setenv("FIMQ_MAX_BYTES", "lots")
    with pytest.raises(SettingsInvalid, match="FIMQ_MAX_BYTES"):
        load_settings()


def test_without_urls_everything_is_embedded(tmp_path) -> None:
    settings = load_settings(data_dir=tmp_path, state_dir=tmp_path)
    assert settings.embedded_queue
    assert settings.embedded_ledger
    assert settings.ledger == f"sqlite:///{tmp_path}/ledger.sqlite3"
    assert settings.store == f"file://{tmp_path}/store"


def test_a_place_means_the_same_in_any_folder(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    settings = load_settings(
        data_dir="data",
        models_dir="~/models",
        ledger_url="sqlite:///own.sqlite3",
        store_url="file:///srv/videos",
    )
    assert settings.places() | {"state_dir": "", "cache_dir": ""} == {
        "data_dir": f"{tmp_path}/data",
        "state_dir": "",
        "cache_dir": "",
        "models_dir": f"{tmp_path}/home/models",
        "ledger_url": f"sqlite:///{tmp_path}/own.sqlite3",
        "store_url": "file:///srv/videos",
    }


def test_shared_folders_are_whole_paths_joined_by_colons(monkeypatch) -> None:
    monkeypatch.setenv("FIMQ_SHARED_PATHS", "/mnt/videos:/srv/in:")
    assert load_settings().shared_paths == (Path("/mnt/videos"), Path("/srv/in"))
    monkeypatch.setenv("FIMQ_SHARED_PATHS", "/mnt/videos:in")
    with pytest.raises(SettingsInvalid, match="FIMQ_SHARED_PATHS: in is not an absolute path"):
        load_settings()


def test_a_queue_that_is_no_redis_is_refused_without_its_secret(monkeypatch) -> None:
    monkeypatch.setenv("FIMQ_BROKER_URL", "amqp://user:hunter2@queue/")
    with pytest.raises(SettingsInvalid, match="FIMQ_BROKER_URL") as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)


def test_secrets_are_not_in_the_repr(monkeypatch) -> None:
    monkeypatch.setenv("FIMQ_BROKER_URL", "redis://:hunter2@127.0.0.1/0")
    settings = load_settings()
    assert "hunter2" not in repr(settings)
    assert settings.broker == "redis://:hunter2@127.0.0.1/0"
    assert not settings.embedded_queue


def test_secret_files_come_after_variables_and_before_the_file(toml, tmp_path, monkeypatch) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "fimq_broker_url").write_text("redis://:word@queue:6379/0\n")
    (folder / "others_password").write_text("unread")
    monkeypatch.setenv("FIMQ_SECRETS_DIR", str(folder))
    toml.write_text("broker_url = 'redis://file'\nevery = 10\n")
    assert load_settings().broker == "redis://:word@queue:6379/0"
    assert origin("broker_url") == str(folder / "fimq_broker_url")
    assert (load_settings().every, origin("every")) == (10, str(toml))
    monkeypatch.setenv("FIMQ_BROKER_URL", "redis://variable")
    assert (load_settings().broker, origin("broker_url")) == ("redis://variable", "FIMQ_BROKER_URL")


def test_a_folder_of_secrets_that_is_not_there_is_an_error(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("FIMQ_SECRETS_DIR", str(tmp_path / "none"))
    with pytest.raises(SettingsInvalid, match="FIMQ_SECRETS_DIR"):
        load_settings()


def test_a_variable_that_sets_nothing_is_found_with_what_it_may_have_meant(monkeypatch) -> None:
    monkeypatch.delenv("FIMQ_FACE_MODELS", raising=False)  # of these tests
    for name in ("LEGDER_URL", "XYLOPHONE", "EVERY", "CONFIG", "SUBMIT_MODEL", "FACE_CROPS_SIDE"):
        monkeypatch.setenv(f"FIMQ_{name}", "1")
    assert strange_variables(["submit", "face-crops"]) == {
        "FIMQ_LEGDER_URL": "FIMQ_LEDGER_URL",
        "FIMQ_XYLOPHONE": "",
    }
