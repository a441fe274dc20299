"""Several machines on one: PostgreSQL, a Redis and a bucket that they share, nothing else.

Each machine has folders of its own, as real ones have; what a worker of one needs of another
can only come through the three services.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fimq.ledger.database import Ledger
from fimq_migrations.schema import upgrade
from installation import PATIENCE_S, Installation, installed, until
from services.postgres import PostgresServer
from services.redis import RedisServer
from services.s3 import Bucket, s3_server


@dataclass
class Machine:
    """A machine that runs one worker."""

    name: str
    installation: Installation
    process: subprocess.Popen[str] | None = None
    starts: int = 0

    @property
    def log(self) -> Path:
        return self.installation.folder / f"{self.name}.txt"

    def start(self, *arguments: str) -> None:
        """Start its worker and wait until it takes work."""
        self.starts += 1
        with self.log.open("a") as out:
            self.process = self.installation.start("worker", *arguments, stdout=out, stderr=out)
        until(lambda: self.log.read_text().count("worker ready") == self.starts, self.name)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """As a power cut: nothing is given back."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(PATIENCE_S)


@dataclass
class Cluster:
    """The services, the machine that submits, and those that work."""

    postgres: PostgresServer
    redis: RedisServer
    bucket: Bucket
    desk: Installation
    machines: list[Machine]

    def start(self, *arguments: str) -> None:
        """Start every machine's worker."""
        for machine in self.machines:
            machine.start(*arguments)


@contextmanager
def cluster(
    folder: Path, face_models: Path, *, machines: int = 2, **settings: str
) -> Iterator[Cluster]:
    """A cluster whose workers do not run yet; models lie in `folder / "models"`."""
    with ExitStack() as stack:
        postgres = PostgresServer.start(durable=True)
        stack.callback(postgres.stop)
        redis = RedisServer(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        redis.start()
        stack.callback(redis.stop)
        gateway = stack.enter_context(s3_server())
        bucket = stack.enter_context(gateway.bucket())
        url = postgres.url(postgres.create_database())
        ledger = Ledger(url)
        upgrade(ledger)
        ledger.close()
        shared = {
            "FIMQ_LEDGER_URL": url,
            "FIMQ_BROKER_URL": redis.url,
            "FIMQ_STORE_URL": bucket.url,
            "FIMQ_MODELS_DIR": str(folder / "models"),
            "FIMQ_SLOTS": "1",
            **gateway.environment,
            **settings,
        }

        def machine(name: str) -> Installation:
            own = folder / name
            own.mkdir()
            cache = {"FIMQ_CACHE_DIR": str(own / "cache")}
            return stack.enter_context(installed(own, face_models, **shared, **cache))

        made = Cluster(
            postgres,
            redis,
            bucket,
            machine("desk"),
            [Machine(f"worker-{n}", machine(f"machine-{n}")) for n in range(machines)],
        )
        try:
            yield made
        finally:
            for each in made.machines:
                each.stop()
