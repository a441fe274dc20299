"""The doorbell on a real broker: the private Valkey, and Debian's Redis where it is installed."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis import Redis

from fimq.doorbell import TASK, CeleryDoorbell, make_app
from fimq.embedded.stack import Stack
from fimq.errors import BrokerUnreachable
from fimq.settings import Settings


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(params=["valkey", "redis"])
def broker(
    request: pytest.FixtureRequest, settings: Settings, state_dir: Path
) -> Iterator[tuple[Settings, Redis]]:
    if request.param == "valkey":
        stack = Stack(settings)
        stack.ensure_queue()
        with Redis(unix_socket_path=str(settings.broker_socket)) as client:
            yield settings, client
        stack.stop()
        return
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed (Debian: apt install redis-server)")
    port = free_port()
    server = subprocess.Popen(
        [*(program, "--port", str(port), "--bind", "127.0.0.1"), *("--dir", str(state_dir))],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    for line in server.stdout:
        if "eady to accept connections" in line:
            break
    url = f"redis://127.0.0.1:{port}/0"
    with Redis.from_url(url) as client:
        yield settings.model_copy(update={"broker_url": SecretStr(url)}), client
    server.terminate()
    server.communicate()


def test_a_ring_is_one_message_that_holds_a_step_id_and_nothing_else(broker) -> None:
    settings, client = broker
    app = make_app(settings)
    CeleryDoorbell(app).ring("step-1", "urgent")
    assert [CeleryDoorbell(app).waiting(lane) for lane in ("urgent", "archive")] == [1, 0]
    (raw,) = client.lrange("urgent", 0, -1)
    message = json.loads(raw)
    assert message["headers"]["task"] == TASK
    assert message["content-type"] == "application/json"
    args, kwargs, _ = json.loads(base64.b64decode(message["body"]))
    assert (args, kwargs) == (["step-1"], {})
    app.close()


def test_a_broker_that_is_down_is_named_and_its_password_is_not(settings) -> None:
    url = f"redis://:secret@127.0.0.1:{free_port()}/0"
    app = make_app(settings.model_copy(update={"broker_url": SecretStr(url)}))
    started = time.monotonic()
    with pytest.raises(BrokerUnreachable) as caught:
        CeleryDoorbell(app).ring("step-1", "urgent")
    assert time.monotonic() - started < 4, "who submits waits for the answer"
    assert "127.0.0.1" in caught.value.message
    assert "secret" not in caught.value.message
    assert caught.value.exit_status == 5
    app.close()
