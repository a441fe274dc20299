"""The private queue: one server, however many need it, and nothing of it left behind."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from fimq.embedded import valkey
from fimq.embedded.locks import HeldLock, exclusive, holder
from fimq.embedded.stack import Stack
from fimq.settings import Settings


@pytest.fixture
def stack(settings: Settings) -> Iterator[Stack]:
    stack = Stack(settings)
    yield stack
    stack.stop()


def _servers(socket: Path) -> int:
    return sum(
        str(socket).encode() in (entry / "cmdline").read_bytes()
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and (entry / "cmdline").exists()
    )


def test_many_who_need_it_at_once_start_one_server(stack: Stack, tmp_path: Path) -> None:
    code = (
        "from fimq.settings import Settings; from fimq.embedded.stack import Stack; import sys;"
        "Stack(Settings(data_dir=sys.argv[1], state_dir=sys.argv[2])).ensure_queue()"
    )
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), str(stack.folder)], stderr=subprocess.PIPE
        )
        for _ in range(4)
    ]
    said = [starter.communicate(timeout=60) for starter in starters]
    assert [starter.returncode for starter in starters] == [0] * 4, said
    assert valkey.answers(stack.settings.broker_socket)
    assert _servers(stack.settings.broker_socket) == 1


def test_only_this_user_can_reach_it(stack: Stack) -> None:
    stack.ensure_queue()
    assert stat.S_IMODE(stack.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(stack.settings.broker_socket.stat().st_mode) == 0o700
    with Redis(unix_socket_path=str(stack.settings.broker_socket)) as client:
        assert client.config_get("port") == {"port": "0"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_the_queue_survives_a_stop_and_a_start(stack: Stack) -> None:
    stack.ensure_queue()
    with Redis(unix_socket_path=str(stack.settings.broker_socket)) as client:
        client.lpush("standard", "a message")
    assert stack.stop().queue
    assert not valkey.answers(stack.settings.broker_socket)
    stack.ensure_queue()
    with Redis(unix_socket_path=str(stack.settings.broker_socket)) as client:
        assert client.lrange("standard", 0, -1) == [b"a message"]


def test_a_stop_of_what_does_not_run_is_no_error(stack: Stack) -> None:
    assert not stack.stop().queue


def test_a_socket_path_that_is_too_long_is_named(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    with pytest.raises(valkey.ValkeyFailed, match="too long"):
        valkey.start(deep / "valkey.sock")


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert holder(path) is None
    code = (
        "import sys; from pathlib import Path; from fimq.embedded.locks import HeldLock;"
        "assert HeldLock(Path(sys.argv[1])).take(); print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    mine = HeldLock(path)
    assert holder(path) == other.pid
    assert not mine.take()
    other.kill()
    other.communicate()
    assert mine.take()
    assert holder(path) == os.getpid()
    mine.release()
    with exclusive(path):
        assert holder(path) is not None


def test_asking_who_holds_a_lock_keeps_nobody_from_taking_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    asked = threading.Event()
    wrong: list[object] = []

    def ask() -> None:
        while not asked.wait(0.001):
            if (found := holder(path)) not in {None, os.getpid()}:
                wrong.append(found)

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    for _ in range(300):
        lock = HeldLock(path)
        assert lock.take()
        lock.release()
    asked.set()
    for asker in askers:
        asker.join()
    assert wrong == []


def test_two_who_ask_at_once_do_not_take_each_other_for_the_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("1\n")
    handle = os.open(path, os.O_RDWR)
    # What another asker does for an instant.
    fcntl.flock(handle, fcntl.LOCK_SH)
    assert holder(path) is None
    os.close(handle)
