"""The engine cache: engines built on this machine, checked before they are loaded.

An engine is code: who may write this folder may run code in the process with the GPU. It is
made for its owner alone, and refused where others may write it. A file is a line that says
what it is, a line that says what follows, and the engine; written beside and renamed in. One
that is cut, changed or wrongly named is removed and built again. Whoever builds holds the
folder's lock, so that others wait for the engine instead of building it, too.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from fimq.errors import RuntimeUnusable
from fimq.store import filelock
from fimq_worker.runtimes.tensorrt.key import SUFFIX, EngineKey

_MAGIC: Final = b"fimq-engine 1\n"
_LONGEST_HEADER: Final = 8192
_OTHERS_MAY_WRITE: Final = 0o022

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """An engine that is kept, as its own header describes it."""

    file: Path
    key: dict[str, Any]
    bytes: int


class EngineDamaged(Exception):
    """A file of the cache is not what its header says."""


class EngineCache:
    """The engines in one folder."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; it is made when there is something to keep."""
        self.folder = folder

    def get(self, key: EngineKey, build: Callable[[], bytes]) -> bytes:
        """The engine of `key`, built if it is not here yet.

        Raises:
            RuntimeUnusable: others than its owner may write the folder; or what `build` raises.
        """
        if (found := self.find(key)) is not None:
            return found
        try:
            lock = self._take_lock()
        except OSError as error:
            # A read-only folder of an image: its engines serve, new ones cannot be kept.
            return self._unkept(key, build, error)
        try:
            if (found := self.find(key)) is not None:
                return found
            engine = _timed(key, build)
            try:
                self._keep(key, engine)
            except OSError as error:
                _log.warning("engine_not_kept", folder=str(self.folder), reason=str(error))
            return engine
        finally:
            os.close(lock)

    def find(self, key: EngineKey) -> bytes | None:
        """The engine of `key`, or None; a damaged one is removed.

        Raises:
            RuntimeUnusable: others than its owner may write the folder.
        """
        file = self.folder / key.file_name
        self._check_folder()
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            _log.warning("engine_unreadable", file=file.name, reason=error.strerror)
            return None
        try:
            described, engine = _parse(content)
        except EngineDamaged as error:
            self.discard(key, str(error))
            return None
        if described != asdict(key):
            self.discard(key, "it is another engine than its name says")
            return None
        return engine

    def discard(self, key: EngineKey, reason: str) -> None:
        """Remove an engine that cannot be used."""
        _log.warning("engine_discarded", file=key.file_name, reason=reason)
        try:
            (self.folder / key.file_name).unlink(missing_ok=True)
        except OSError as error:
            _log.warning("engine_not_removed", file=key.file_name, reason=error.strerror)

    def kept(self) -> Iterator[Kept]:
        """Every engine that is here and whole, by name."""
        for file in self._files():
            try:
                content = file.read_bytes()
                described, engine = _parse(content)
            except (OSError, EngineDamaged):
                continue
            yield Kept(file, described, len(engine))

    def clear(self) -> int:
        """Remove every engine; returns how many there were."""
        files = self._files()
        for file in files:
            file.unlink(missing_ok=True)
        return len(files)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob(f"*{SUFFIX}"))

    def _check_folder(self) -> None:
        try:
            found = self.folder.stat()
        except FileNotFoundError:
            return
        except OSError as error:
            raise RuntimeUnusable(f"{self.folder}: {error.strerror}") from error
        if found.st_uid not in {0, os.geteuid()} or found.st_mode & _OTHERS_MAY_WRITE:
            raise RuntimeUnusable(
                f"{self.folder} can be written by others, who could run code here: "
                "give it to this user, and chmod 700"
            )

    def _take_lock(self) -> int:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return filelock.take(self.folder / "lock")

    def _unkept(self, key: EngineKey, build: Callable[[], bytes], error: OSError) -> bytes:
        engine = _timed(key, build)
        _log.warning("engine_not_kept", folder=str(self.folder), reason=error.strerror)
        return engine

    def _keep(self, key: EngineKey, engine: bytes) -> None:
        header = {"key": asdict(key), "sha256": hashlib.sha256(engine).hexdigest()}
        with _beside(self.folder / key.file_name) as handle:
            for part in (_MAGIC, json.dumps(header).encode() + b"\n", engine):
                handle.write(part)
        for file in self._files():
            if file.name.startswith(key.family) and file.name != key.file_name:
                file.unlink(missing_ok=True)


def _parse(content: bytes) -> tuple[dict[str, Any], bytes]:
    """What a file says of its engine, and the engine.

    Raises:
        EngineDamaged: it is not whole.
    """
    end = content.find(b"\n", len(_MAGIC), _LONGEST_HEADER)
    if not content.startswith(_MAGIC) or end < 0:
        raise EngineDamaged("it has no header")
    try:
        header = json.loads(content[len(_MAGIC) : end])
        key, digest = header["key"], header["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise EngineDamaged("its header cannot be read") from error
    engine = content[end + 1 :]
    if hashlib.sha256(engine).hexdigest() != digest:
        raise EngineDamaged("it is cut or changed: its hash differs")
    return key, engine


def _timed(key: EngineKey, build: Callable[[], bytes]) -> bytes:
    started = time.monotonic()
    engine = build()
    _log.info(
        "engine_built",
        runtime=key.runtime,
        version=key.version,
        gpu=key.gpu,
        precision=key.precision,
        bytes=len(engine),
        seconds=round(time.monotonic() - started, 2),
    )
    return engine


@contextmanager
def _beside(file: Path) -> Iterator[Any]:
    """A file that gets its name when it is whole and on the disk."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=".building-")
    try:
        with os.fdopen(descriptor, "wb") as handle:
            yield handle
            handle.flush()
            os.fsync(descriptor)
        Path(name).rename(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
