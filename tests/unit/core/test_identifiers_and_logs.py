"""Ids that sort and name; logs that hold ids and no secrets."""

from __future__ import annotations

import json
import logging
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import structlog

from fimq import logs
from fimq.identifiers import new_id, short


def test_ids_sort_by_time_and_their_short_form_is_theirs_alone() -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: new_id(), range(500)))
    assert len({short(one) for one in ids}) == 500
    alone = [new_id() for _ in range(100)]
    assert alone == sorted(alone)
    for one in alone:
        assert uuid.UUID(one).version == 7
        assert uuid.UUID(one).variant == uuid.RFC_4122


@pytest.fixture
def quiet_afterwards():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize("source", ["ours", "a library's"])
def test_a_line_of_json_has_its_ids_and_no_password(capsys, quiet_afterwards, source) -> None:
    logs.configure("info", "json")
    url = "redis://user:hunter2@queue:6379/0"
    with structlog.contextvars.bound_contextvars(job_id="j", step_id="s", worker_id="w"):
        if source == "ours":
            structlog.get_logger("fimq").info("connected", url=url)
        else:
            logging.getLogger("somebody").warning("connected to %s", url)
    line = json.loads(capsys.readouterr().err)
    assert (line["job_id"], line["step_id"], line["worker_id"]) == ("j", "s", "w")
    assert line["level"] in {"info", "warning"}
    assert "hunter2" not in json.dumps(line)
    assert "queue:6379" in json.dumps(line)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2@queue:6379/0",
        "rediss://user:hun@hunter2@queue/0",
        "postgresql+psycopg://user@db/fimq?password=hunter2&sslmode=require",
        "s3://name:hunter2@bucket?secret=hunter2&access_key=hunter2",
    ],
)
def test_no_place_in_a_url_keeps_its_secret(url: str) -> None:
    shown = logs.redact(f"cannot reach {url} (refused)")
    assert "hunter2" not in shown
    assert shown.startswith("cannot reach ")
    assert shown.endswith(" (refused)")


def test_a_traceback_in_text_shows_no_local_variables(capsys, quiet_afterwards) -> None:
    logs.configure("info", "text")
    secret = "hunter-two".lower()
    try:
        secret.index("x")
    except ValueError:
        structlog.get_logger("fimq").exception("failed")
    said = capsys.readouterr().err
    assert "substring not found" in said
    assert "hunter-two" not in said
