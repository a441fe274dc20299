"""The names of the runtimes: those that the setting takes are those that a worker can load."""

from __future__ import annotations

from typing import get_args

import pytest

from fimq.settings import RuntimeName, SettingsInvalid, load_settings
from fimq_worker.runtimes.choose import AUTO, RUNTIMES


def test_the_setting_takes_what_a_worker_can_load() -> None:
    assert get_args(RuntimeName) == (AUTO, *RUNTIMES)


def test_another_name_is_refused_and_the_names_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIMQ_RUNTIME", "openvinoo")
    with pytest.raises(SettingsInvalid) as caught:
        load_settings()
    assert all(repr(name) in caught.value.message for name in RUNTIMES)
