"""The doctor: one finding for each thing that fimq needs, with what to do about it.

Used by `fimq doctor`. It looks; all it makes are folders that are missing.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from redis import Redis
from redis.exceptions import RedisError, ResponseError

from fimq.embedded import valkey
from fimq.embedded.stack import Stack
from fimq.errors import FimqError
from fimq.ledger import presence
from fimq.ledger.database import Ledger
from fimq.ledger.presence import Presence
from fimq.ledger.tables import SCHEMA
from fimq.logs import redact
from fimq.models import face_models
from fimq.models.registry import open_registry
from fimq.settings import Settings, strange_variables
from fimq.store.base import open_store

_NEEDED = ("av", "opencv-python-headless", "openvino", "celery", "redis", "sqlalchemy")
#: How the hints of some errors end.
_ASK_ME = "See: fimq doctor"
#: The first look on a machine with a GPU builds engines, which may take minutes.
_EXAMINATION_S = 600
#: They install the same module; mediapipe brings one that needs the libraries of a desktop.
_OTHER_OPENCVS = ("opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless")
_EXTRAS = (
    *("onnxruntime", "onnxruntime-gpu", "tensorrt-cu12", "tensorrt-rtx-cu12", "cuda-bindings"),
    *("tensorflow-cpu", "mediapipe", "psycopg", "s3fs", "fastapi"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one thing. `hint` says what to do when it is not ok."""

    what: str
    state: Literal["ok", "note", "bad"]
    says: str
    hint: str = ""


def examine(settings: Settings, commands: Iterable[str]) -> Iterator[Finding]:
    """Look at everything, the plain things first; variables may set options of `commands`."""
    yield _python()
    yield from _packages()
    yield from variables(commands)
    yield from services(settings)
    yield from _models(settings)
    yield from _worker_side(settings)
    yield from _limits(settings)


def variables(commands: Iterable[str]) -> Iterator[Finding]:
    """Look for variables that their user takes for settings, and that set nothing."""
    for name, meant in strange_variables(commands).items():
        yield Finding(
            "settings",
            "note",
            f"{name} is none of fimq's, and sets nothing",
            f"Did you mean {meant}?" if meant else "All of them: fimq config",
        )


def services(settings: Settings) -> Iterator[Finding]:
    """Look at what may be on other machines: ledger, queue, workers and store."""
    ledger, workers = _ledger(settings)
    yield ledger
    yield _queue(settings)
    if settings.embedded_ledger and not settings.embedded_queue:
        yield Finding(
            "ledger",
            "note",
            "of this machine alone, beside a queue that others may share",
            "Where workers run elsewhere, set FIMQ_LEDGER_URL to the ledger that they use.",
        )
    yield workers
    yield _store(settings)


def of_error(what: str, error: FimqError) -> Finding:
    """An error's own words, but for the advice to ask the doctor."""
    return Finding(what, "bad", error.message, error.hint.removesuffix(_ASK_ME).rstrip())


def _python() -> Finding:
    return Finding("Python", "ok", f"{platform.python_version()} on {platform.platform()}")


def _packages() -> Iterator[Finding]:
    for name in ("fimq", *_NEEDED):
        try:
            yield Finding(name, "ok", version(name))
        except PackageNotFoundError:
            yield Finding(name, "bad", "not installed", "Install fimq again.")
    if others := [name for name in _OTHER_OPENCVS if _is_installed(name)]:
        yield Finding(
            "opencv",
            "note",
            f"{', '.join(others)} overwrites opencv-python-headless",
            "pip uninstall it; then: "
            "pip install --force-reinstall --no-deps 'opencv-python-headless<5'",
        )
    present = []
    for name in _EXTRAS:
        try:
            present.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    yield Finding("extras", "ok", ", ".join(present) or "none")


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def _ledger(settings: Settings) -> tuple[Finding, Finding]:
    """The ledger, and the workers that it knows."""
    try:
        with closing(Ledger(settings.ledger)) as ledger:
            if ledger.schema() is None and settings.embedded_ledger:
                says = f"{ledger.shown}: empty, made at the first submit"
                return Finding("ledger", "ok", says), _workers(settings, [], first=True)
            ledger.check_schema()
            found = Finding("ledger", "ok", f"{ledger.shown}: schema {SCHEMA}")
            with ledger.read() as session:
                first = not presence.anybody(session)
            alive = presence.alive(ledger, within=2 * settings.lease_seconds)
    except FimqError as error:
        unknown = Finding("workers", "note", "not known: the ledger cannot be asked")
        return of_error("ledger", error), unknown
    return found, _workers(settings, alive, first=first)


def _queue(settings: Settings) -> Finding:
    if settings.embedded_queue:
        try:
            binary = valkey.binary()
        except FimqError as error:
            return of_error("queue", error)
        runs = valkey.answers(settings.broker_socket)
        return Finding(
            "queue",
            "ok",
            f"private Valkey, {'runs' if runs else 'starts when needed'} ({binary.name})",
        )
    shown = redact(settings.broker)
    # What kombu calls redis+socket is unix to the client.
    url = settings.broker.replace("redis+socket://", "unix://")
    try:
        with Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5) as client:
            facts = client.info("server")
            policy = _eviction(client)
    except TypeError:
        # The client's own words would quote it.
        says = f"{shown}: its URL has a parameter that the client does not know"
        return Finding("queue", "bad", says, "Correct FIMQ_BROKER_URL")
    except (RedisError, OSError, ValueError) as error:
        return Finding("queue", "bad", f"{shown}: {error}", "Start it, or check FIMQ_BROKER_URL")
    says = f"{shown}: Redis {facts.get('redis_version', '?')}"
    if policy != "noeviction":
        return Finding("queue", "note", f"{says}, {policy}", "Set maxmemory-policy noeviction")
    return Finding("queue", "ok", says)


def _eviction(client: Redis) -> str:
    """What the server does when its memory is full; who rents one may not be told."""
    try:
        return str(client.config_get("maxmemory-policy").get("maxmemory-policy", "noeviction"))
    except ResponseError:
        return "its maxmemory-policy is not told"


def _workers(settings: Settings, alive: list[Presence], *, first: bool) -> Finding:
    if alive:
        return Finding("workers", "ok", ", ".join(f"{row.host}:{row.pid}" for row in alive))
    if settings.embedded_queue:
        state = Stack(settings).state()
        says = "the private one runs" if state.worker_pid else "the private one starts when needed"
        return Finding("workers", "ok", says)
    if first:
        return Finding("workers", "note", "none was started yet", "Start one: fimq worker")
    return Finding("workers", "bad", "none is alive", "Run: fimq worker")


def _store(settings: Settings) -> Finding:
    try:
        return Finding("store", "ok", open_store(settings.store, **settings.store_options).check())
    except FimqError as error:
        return of_error("store", error)


def _models(settings: Settings) -> Iterator[Finding]:
    try:
        face_models.verify(settings.face_models)
        yield Finding("face models", "ok", f"verified in {settings.face_models}")
    except FimqError as error:
        yield of_error("face models", error)
    try:
        with open_registry(settings) as registry:
            package = registry.open(registry.find(settings.tenant, settings.model))
    except FimqError as error:
        yield of_error("model", error)
        return
    manifest = package.manifest
    yield Finding(
        "model",
        "note" if manifest.experimental else "ok",
        f"{manifest.name} {manifest.version}, verified"
        + (", experimental: its verdicts are hints" if manifest.experimental else ""),
    )


def _worker_side(settings: Settings) -> Iterator[Finding]:
    """Runtimes and sandbox, as a worker on this machine finds them (in its own process)."""
    try:
        answer = subprocess.run(  # noqa: S603 - the command is ours
            [sys.executable, "-m", "fimq_worker.examination", settings.model],
            check=False,
            capture_output=True,
            text=True,
            timeout=_EXAMINATION_S,
            env={**os.environ, "FIMQ_LOG_LEVEL": "error"},
        )
    except subprocess.TimeoutExpired:
        says = f"no answer in {_EXAMINATION_S} s"
        yield Finding("worker", "bad", says, "Run: fimq worker --slots 1")
        return
    if answer.returncode != 0:
        last = (answer.stderr.strip().splitlines() or ["no answer"])[-1]
        yield Finding("worker", "bad", last, "Run: fimq worker --slots 1")
        return
    for row in json.loads(answer.stdout):
        row["hint"] = row["hint"].removesuffix(_ASK_ME).rstrip()
        yield Finding(**row)


def _limits(settings: Settings) -> Iterator[Finding]:
    yield Finding(
        "limits",
        "ok",
        f"{settings.max_bytes / 2**30:g} GiB, {settings.max_duration / 3600:g} h, "
        f"{settings.max_pixels / 1e6:.0f} megapixels, faces from {settings.min_face} px, "
        f"child {settings.child_memory / 2**30:g} GiB",
    )
