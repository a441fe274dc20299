"""A Redis of the tests' own, that can be stopped, started and emptied."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

from redis import Redis

from fimq.embedded import valkey
from installation import until


class RedisServer:
    """A server on a loopback port: Debian's, else the Valkey that fimq brings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self, *, password: str = "") -> None:
        server = shutil.which("redis-server") or str(valkey.binary())
        self.process = subprocess.Popen(
            [
                *(server, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""),
                *("--requirepass", password),
            ],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
        )
        until(self._answers, "the queue")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def flush(self) -> None:
        with Redis.from_url(self.url) as client:
            client.flushall()

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def free_port() -> int:
    """A port of the loopback that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
