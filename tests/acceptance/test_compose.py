"""What docker-compose.yml runs, run here without Docker: its very commands and health checks.

Only places differ: where a container has its secrets, its data and its port, these have the
test's. PostgreSQL's image has an entry point of its own, so that only its health check is run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from clips import Clip
from fimq.settings import LANES
from installation import PATIENCE_S, Installation, installed, until
from services.postgres import PostgresServer
from services.redis import free_port
from tinymodel import write_package

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())[
    "services"
]


class Containers:
    """The services of the compose file as processes of this machine."""

    def __init__(self, folder: Path, postgres: PostgresServer) -> None:
        self.folder = folder
        self.postgres = postgres
        self.port = free_port()
        for name in ("redis", "secrets", "store"):
            (folder / name).mkdir()
        subprocess.run(
            ["sh", ROOT / "deploy/make-secrets.sh", folder / "secrets"],
            check=True,
            capture_output=True,
        )
        self._edit("fimq_broker_url", "@redis:6379", f"@127.0.0.1:{self.port}")
        password = (folder / "secrets/postgres_password").read_text()
        postgres.execute(f"ALTER ROLE fimq PASSWORD '{password}'")
        self._edit("fimq_ledger_url", "@postgres:5432", f"@127.0.0.1:{postgres.port}")

    def _edit(self, secret: str, old: str, new: str) -> None:
        path = self.folder / "secrets" / secret
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def here(self, text: str) -> str:
        """A command's word as it reads outside of its container."""
        for there, place in (
            ("/run/secrets", self.folder / "secrets"),
            ("dir /data", f"dir {self.folder / 'redis'}"),
            ("/var/lib/fimq/store", self.folder / "store"),
            ("redis-server -", f"redis-server - --port {self.port} --bind 127.0.0.1"),
            ("redis-cli ping", f"redis-cli -p {self.port} ping"),
            ("0.0.0.0:9464", "127.0.0.1:0"),
            ("$$", "$"),
        ):
            text = text.replace(there, str(place))
        return text

    def environment(self, service: str) -> dict[str, str]:
        told = SERVICES[service]["environment"].items()
        return {name: self.here(str(value)) for name, value in told}

    def healthy(self, service: str) -> int:
        """The exit status of a service's health check, as `redis` and `postgres` run it."""
        kind, *words = SERVICES[service]["healthcheck"]["test"]
        command = ["sh", "-c", *words] if kind == "CMD-SHELL" else words
        return subprocess.run(
            [self.here(word) for word in command],
            env={
                **os.environ,
                "PATH": f"{os.environ['PATH']}:{self.postgres.binaries}",
                "PGHOST": "127.0.0.1",
                "PGPORT": str(self.postgres.port),
            },
            capture_output=True,
            check=False,
        ).returncode

    @contextmanager
    def redis(self) -> Iterator[None]:
        if shutil.which("redis-server") is None:
            pytest.skip("redis-server is not installed")
        process = subprocess.Popen(
            [self.here(word) for word in SERVICES["redis"]["command"]], stdout=subprocess.DEVNULL
        )
        try:
            yield
        finally:
            process.terminate()
            # The server itself, not a shell in front of it: it ends well when told to.
            assert process.wait(PATIENCE_S) == 0


@pytest.fixture
def containers(tmp_path: Path) -> Iterator[Containers]:
    server = PostgresServer.start()
    try:
        server.execute("CREATE DATABASE fimq")
        yield Containers(tmp_path, server)
    finally:
        server.stop()


def run(made: Installation, service: str, *more: str) -> subprocess.CompletedProcess[str]:
    return made.run(*SERVICES[service]["command"], *more)


def test_the_services_commands_and_health_checks_work(
    containers: Containers, tmp_path: Path, face_models: Path
) -> None:
    write_package(tmp_path / "models" / "default")
    assert containers.healthy("postgres") == 0
    assert containers.healthy("redis") != 0
    settings = containers.environment("worker") | {"FIMQ_SLOTS": "1"}
    with containers.redis(), installed(tmp_path, face_models, **settings) as made:
        until(lambda: containers.healthy("redis") == 0, "redis")
        health = SERVICES["worker"]["healthcheck"]["test"][2:]
        ran = run(made, "migrate")
        assert ran.returncode == 0, ran.stderr
        assert made.run(*health).returncode == 5
        logs = [tmp_path / name for name in ("worker.txt", "worker-urgent.txt")]
        workers = []
        for log, service in zip(logs, ("worker", "worker-urgent"), strict=True):
            with log.open("w") as out:
                command = SERVICES[service]["command"]
                workers.append(made.start(*command, stdout=out, stderr=out))
        try:
            for log in logs:
                until(lambda log=log: "worker ready" in log.read_text(), "a worker")
            assert made.run(*health).returncode == 0
            clip = Clip(frames=10).write(tmp_path / "clip.mp4")
            (document,) = made.judge(clip, options=("--lane", "urgent"))
            assert document["state"] == "done"
            lanes = [row["lanes"] for row in made.documents("workers")]
            assert sorted(lanes) == [["urgent"], list(LANES)]
            assert list((tmp_path / "store").rglob(document["sha256"]))
            # The queue keeps its messages, and asks for its password.
            assert list((tmp_path / "redis").rglob("*.aof"))
            for finding in made.documents("doctor")[0]:
                if finding["what"] in {"queue", "ledger", "workers", "store"}:
                    assert finding["state"] == "ok", finding
        finally:
            for worker in workers:
                worker.terminate()
            statuses = [worker.wait(PATIENCE_S) for worker in workers]
        assert statuses == [0, 0]
        assert made.run(*health).returncode == 5
        secrets = [path.read_text() for path in (tmp_path / "secrets").glob("*_password")]
        assert not any(secret in log.read_text() for secret in secrets for log in logs)


def test_tests_run_the_command_that_the_image_has() -> None:
    """The image's entry point is the `fimq` that the tests run as a module."""
    text = (ROOT / "deploy/Dockerfile").read_text()
    assert text.count('ENTRYPOINT ["fimq"]') == 2
    assert SERVICES["worker"]["healthcheck"]["test"][:2] == ["CMD", "fimq"]
